"""ModelInfer for requests that recur: no message is parsed, and most answers are not written anew."""

from collections.abc import Mapping

from google.protobuf.message import DecodeError

from service.core import recurring_answers
from service.core.call import Call
from service.core.catalog import ModelVersion
from service.core.engine import Engine
from service.core.recurring import RecurringRequest, RecurringRequests
from service.core.tensors import Tensor
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
        outputs = await recurring_answers.run(self._engine, request, data, call)

        def write(outputs: Mapping[str, Tensor]) -> bytes:
            response = pb.ModelInferResponse()
            encode_response(
                response, request.version, _RAW, outputs if request.outputs else dict(sorted(outputs.items()))
            )
            return response.SerializeToString()

        return await recurring_answers.answer(request, outputs, write, call)


def _tail(data: bytes) -> bytes | None:
    try:
        contents = pb.ModelInferRequest.FromString(data).raw_input_contents
    except DecodeError:  # its end is not what was taken for it
        return None
    return contents[0] if len(contents) == 1 else None
