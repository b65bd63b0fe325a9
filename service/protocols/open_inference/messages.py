"""A request for inference and what it says beside its tensors, the same over both transports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.codecs.open_inference import dtype_of
from service.core.bounds import InputBounds
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

Parameters = Mapping[str, Any]
"""Values by name: booleans, numbers and texts over gRPC, any JSON over REST."""

SIGNATURE_NAME = "signature_name"
"""The parameter that chooses a signature; ours, as the protocol has none."""
TIMEOUT = "timeout"
"""The parameter that bounds the time, in microseconds."""

_MICROSECONDS = 1e6
_INT64 = range(2**63)
_SHARED_MEMORY = frozenset({"shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"})
_CLASSIFICATION = "classification"


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """An output that is wanted."""

    name: str
    parameters: Parameters


@dataclass(slots=True)
class InferMessage:
    """A request, decoded.

    Attributes:
        inputs: Tensors by name.
        outputs: Those that are wanted, in their order; all when it is empty.
        parameters: Those of the request as a whole.
        id: The client's, to be echoed; empty where there is none.
        raw: Whether the answer's tensors are to be raw bytes where nothing else is said.
    """

    inputs: Mapping[str, Tensor]
    outputs: Sequence[RequestedOutput] = ()
    parameters: Parameters = field(default_factory=dict)
    id: str = ""
    raw: bool = False


@dataclass(slots=True)
class InputHead:
    """What an input says of its tensor, found to be within bounds.

    Attributes:
        dtype: TensorFlow's name.
        where: Path of the input, for errors.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    where: str


def input_head(
    *, index: int, name: str, datatype: str, shape: Sequence[int], parameters: Parameters, bounds: InputBounds
) -> InputHead:
    """Returns the head of an input, before anything is allocated for its tensor.

    Raises:
        GatewayError: INVALID_INPUT or TOO_LARGE; NOT_SUPPORTED when the tensor is said to be somewhere else.
    """
    where = f"inputs[{index}]"
    bounds.check_name(name, where=f"{where}.name")
    dtype = dtype_of(datatype, where=f"{where}.datatype")
    bounds.check_shape(shape, where=f"{where}.shape")
    _refuse_shared_memory(parameters, where)
    return InputHead(name, dtype, tuple(shape), where)


def requested_output(*, index: int, name: str, parameters: Parameters, bounds: InputBounds) -> RequestedOutput:
    """Returns a wanted output.

    Raises:
        GatewayError: TOO_LARGE for a name that is too long, NOT_SUPPORTED for what would change the output.
    """
    where = f"outputs[{index}]"
    bounds.check_name(name, where=f"{where}.name")
    _refuse_shared_memory(parameters, where)
    if _CLASSIFICATION in parameters:
        raise _not_supported(f"{where}.parameters.{_CLASSIFICATION}")
    return RequestedOutput(name, parameters)


def add_input(inputs: dict[str, Tensor], head: InputHead, tensor: Tensor) -> None:
    """Adds a tensor to those of a request.

    Raises:
        GatewayError: INVALID_INPUT when there is one of that name.
    """
    if head.name in inputs:
        raise invalid_input(Violation(f"{head.where}.name", "each input once", f"{shown(head.name)} again"))
    inputs[head.name] = tensor


def wanted_signature(parameters: Parameters) -> str | None:
    """Returns the name of the signature that a request chooses.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    name = parameters.get(SIGNATURE_NAME)
    if name is not None and not isinstance(name, str):
        raise invalid_input(Violation(f"parameters.{SIGNATURE_NAME}", "a string", shown(name)))
    return name


def apply_timeout(parameters: Parameters, call: Call) -> bool:
    """Gives the call the deadline that its request asks for, where that is sooner; returns whether it asks for one.

    The time runs from the beginning of the call, however often the request is tried.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    timeout = parameters.get(TIMEOUT)
    if timeout is None:
        return False
    if type(timeout) is not int or timeout not in _INT64:
        expected = "a whole number of microseconds, of 64 bits"
        raise invalid_input(Violation(f"parameters.{TIMEOUT}", expected, shown(timeout)))
    if not timeout:
        return False
    deadline = Deadline.after(timeout / _MICROSECONDS, sooner=call.elapsed())
    if deadline.at < call.deadline.at:
        call.deadline = deadline
    return True


def _refuse_shared_memory(parameters: Parameters, where: str) -> None:
    if parameters:
        for name in sorted(_SHARED_MEMORY & parameters.keys()):
            raise _not_supported(f"{where}.parameters.{name}")


def _not_supported(where: str) -> GatewayError:
    return GatewayError(ErrorKind.NOT_SUPPORTED, f"{where} is not supported here")
