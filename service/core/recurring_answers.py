"""How a request that recurs is answered, the same in every protocol: it is run at once, and its answer put together."""

from collections.abc import Callable, Mapping

from service.core.call import Call
from service.core.engine import Engine
from service.core.offload import offloaded
from service.core.recurring import RecurringRequest
from service.core.tensors import Tensor, byte_size


async def run(engine: Engine, request: RecurringRequest, data: bytes, call: Call) -> Mapping[str, Tensor]:
    """Runs a request and returns all outputs by name.

    Args:
        engine: Runs it.
        request: What it asks for.
        data: Its message.
        call: The call that it is.

    Raises:
        GatewayError: What `Engine.run` raises.
    """
    version = request.version
    call.model, call.version = version.name, version.version
    with call.phase("decode"):
        inputs = request.inputs(data)
    call.add("validate", 0.0)  # it is a phase of every request, for those who add them up
    return await engine.run(version, request.signature, inputs, request.rows, call)


async def answer(
    request: RecurringRequest,
    outputs: Mapping[str, Tensor],
    write: Callable[[Mapping[str, Tensor]], bytes],
    call: Call,
) -> bytes:
    """Returns the answer's message; see `RecurringRequest.answer`."""
    with call.phase("encode"):
        return await offloaded(byte_size(outputs.values()), lambda: request.answer(outputs, write))
