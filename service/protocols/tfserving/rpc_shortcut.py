"""Predict for requests that recur: no message is parsed, and most answers are not written anew."""

from collections.abc import Mapping
from typing import Literal

from google.protobuf.message import DecodeError

from service.codecs.tensor_proto import encode_tensor
from service.core import recurring_answers
from service.core.call import Call
from service.core.catalog import ModelVersion
from service.core.engine import Engine
from service.core.recurring import RecurringRequest, RecurringRequests
from service.core.tensors import Signature, Tensor
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
        try:
            outputs = await recurring_answers.run(self._engine, request, data, call)
        except GatewayError as error:
            raise wording.refused(error, request.signature, request.inputs(data), request.outputs) from error.__cause__

        def write(outputs: Mapping[str, Tensor]) -> bytes:
            response = pb.PredictResponse()
            for name, tensor in outputs.items():
                encode_tensor(tensor, response.outputs[name], as_content=self._as_content)
            # Two messages in a row are one; so the numbers come last.
            spec = pb.PredictResponse(model_spec=model_spec(request.version, request.signature.name))
            return spec.SerializeToString() + response.SerializeToString()

        return await recurring_answers.answer(request, outputs, write, call)


def _tail(data: bytes) -> bytes | None:
    try:
        inputs = list(pb.PredictRequest.FromString(data).inputs.values())
    except DecodeError:  # its end is not what was taken for it
        return None
    return inputs[0].tensor_content if len(inputs) == 1 else None
