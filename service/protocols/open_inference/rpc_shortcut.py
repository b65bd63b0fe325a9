"""ModelInfer for requests that recur: no message is parsed, and most answers are not written anew."""

import time
from collections.abc import Mapping

from google.protobuf.message import DecodeError

from service.core.call import Call
from service.core.catalog import ModelVersion
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.recurring import RecurringRequest, RecurringRequests
from service.core.tensors import Tensor, byte_size
from service.protocols.open_inference.messages import InferMessage
from service.protocols.open_inference.models import ServedModels
from service.protocols.open_inference.rpc_messages import encode_response
from service.wire import open_inference_pb2 as pb

_RAW = InferMessage(inputs={}, raw=True)


class InferShortcut:
    """Answers what it knows.

    Args:
        engine: Runs it.
        models: Knows which signature a request means.
    """

    def __init__(self, *, engine: Engine, models: ServedModels) -> None:
        self._engine = engine
        self._models = models
        self._known = RecurringRequests(engine.catalog, _tail)
        self.find = self._known.find

    def remember(self, request: pb.ModelInferRequest, version: ModelVersion, message: InferMessage, call: Call) -> None:
        """Notes a request that was found right, if there is nothing in it but the model, its input and outputs."""
        number = request.model_version
        plain = message.raw and not (message.parameters or message.id)
        plain = plain and not any(output.parameters for output in message.outputs)
        if call.message is not None and plain and (not number or number.isdecimal()):
            signature = self._models.signature(version, None)
            wanted = tuple(output.name for output in message.outputs)
            self._known.remember(call.message, version, signature, message.inputs, call.rows, wanted)

    async def answer(self, request: RecurringRequest, data: bytes, call: Call) -> bytes:
        """Runs a request and returns the answer's message.

        Raises:
            GatewayError: What `Engine.run` raises.
        """
        began = time.perf_counter()
        version = request.version
        call.model, call.version = version.name, version.version
        inputs = request.inputs(data)
        call.add("decode", time.perf_counter() - began)
        call.add("validate", 0.0)  # it is a phase of every request, for those who add them up
        outputs = await self._engine.run(version, request.signature, inputs, request.rows, call)

        def write(outputs: Mapping[str, Tensor]) -> bytes:
            response = pb.ModelInferResponse()
            encode_response(response, version, _RAW, outputs if request.outputs else dict(sorted(outputs.items())))
            return response.SerializeToString()

        began = time.perf_counter()
        answer = await offloaded(byte_size(outputs.values()), lambda: request.answer(outputs, write))
        call.add("encode", time.perf_counter() - began)
        return answer


def _tail(data: bytes) -> bytes | None:
    try:
        contents = pb.ModelInferRequest.FromString(data).raw_input_contents
    except DecodeError:  # its end is not what was taken for it
        return None
    return contents[0] if len(contents) == 1 else None
