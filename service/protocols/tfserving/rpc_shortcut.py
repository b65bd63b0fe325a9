"""Predict for requests that recur: no message is parsed, and most answers are not written anew."""

import time
from collections.abc import Mapping
from typing import Literal

from google.protobuf.message import DecodeError

from service.codecs.tensor_proto import encode_tensor
from service.core.call import Call
from service.core.catalog import ModelVersion
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.recurring import RecurringRequest, RecurringRequests
from service.core.tensors import Signature, Tensor, byte_size
from service.errors import GatewayError
from service.protocols.tfserving import wording
from service.protocols.tfserving.models import model_spec
from service.wire import tensorflow_serving_pb2 as pb


class PredictShortcut:
    """Answers what it knows.

    Args:
        engine: Runs it.
        tensor_content: Whether numbers are answered as bytes; those of the requests that are known came so.
    """

    def __init__(self, engine: Engine, *, tensor_content: Literal["mirror", "always", "never"]) -> None:
        self._engine = engine
        self._as_content = tensor_content != "never"
        self._known = RecurringRequests(engine.catalog, _tail)
        self.find = self._known.find

    def remember(
        self,
        request: pb.PredictRequest,
        version: ModelVersion,
        signature: Signature,
        inputs: Mapping[str, Tensor],
        call: Call,
    ) -> None:
        """Notes a request that was found right, if it names no label."""
        if call.message is not None and request.model_spec.WhichOneof("version_choice") != "version_label":
            wanted = tuple(request.output_filter)
            self._known.remember(call.message, version, signature, inputs, call.rows, wanted)

    async def answer(self, request: RecurringRequest, data: bytes, call: Call) -> bytes:
        """Runs a request and returns the answer's message.

        Raises:
            GatewayError: In upstream's words where it has any.
        """
        began = time.perf_counter()
        version, signature = request.version, request.signature
        call.model, call.version = version.name, version.version
        inputs = request.inputs(data)
        call.add("decode", time.perf_counter() - began)
        call.add("validate", 0.0)  # it is a phase of every request, for those who add them up
        try:
            outputs = await self._engine.run(version, signature, inputs, request.rows, call)
        except GatewayError as error:
            raise wording.refused(error, signature, inputs, request.outputs) from error.__cause__

        def write(outputs: Mapping[str, Tensor]) -> bytes:
            response = pb.PredictResponse()
            for name, tensor in outputs.items():
                encode_tensor(tensor, response.outputs[name], as_content=self._as_content)
            # Two messages in a row are one; so the numbers come last.
            spec = pb.PredictResponse(model_spec=model_spec(version, signature.name))
            return spec.SerializeToString() + response.SerializeToString()

        began = time.perf_counter()
        answer = await offloaded(byte_size(outputs.values()), lambda: request.answer(outputs, write))
        call.add("encode", time.perf_counter() - began)
        return answer


def _tail(data: bytes) -> bytes | None:
    try:
        inputs = list(pb.PredictRequest.FromString(data).inputs.values())
    except DecodeError:  # its end is not what was taken for it
        return None
    return inputs[0].tensor_content if len(inputs) == 1 else None
