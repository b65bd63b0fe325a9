"""How a call is put, whoever makes it.

What a client does is written once, as an `Operation`: a generator that yields the calls it needs answered, is sent
their answers, and returns its result. The two clients only make the calls: one waits, the other awaits.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message

from tensorgate.client.errors import Timeout
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.wire import infer_pb2

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)  # as itself alone, it is found fast
class Method:
    """A method of the server.

    Attributes:
        path: Its name on the wire.
        request: Class of its requests.
        response: Class of its answers.
        safe: Whether it changes nothing, so that calling it twice does no harm.
    """

    path: str
    request: type[Message]
    response: type[Message]
    safe: bool = True


class Call(NamedTuple):
    """One call of a method."""

    method: Method
    request: Message


Operation = Generator[Sequence[Call], list[Any], Result]

_CHANGING = {"SetLabel", "DeleteLabel"}
METHODS = {
    method.name: Method(
        f"/{method.containing_service.full_name}/{method.name}",
        getattr(pb, method.input_type.name),
        getattr(pb, method.output_type.name),
        method.name not in _CHANGING,
    )
    for method in pb.DESCRIPTOR.services_by_name["TensorgateService"].methods
    if not method.client_streaming
}
"""The methods of the typed API that take one message and give one, by name."""
CLASSIFY, FORECAST, GET_CARD, GET_MODEL, GET_PLOT, LIST_MODELS = map(
    METHODS.__getitem__, ("Classify", "Forecast", "GetCard", "GetModel", "GetPlot", "ListModels")
)
INFER = Method("/inference.GRPCInferenceService/ModelInfer", infer_pb2.ModelInferRequest, infer_pb2.ModelInferResponse)


class Deadline(NamedTuple):
    """When an operation must be done.

    Attributes:
        at: By the monotonic clock; ``None`` for never.
    """

    at: float | None

    @staticmethod
    def after(seconds: float | None) -> "Deadline":
        """Returns the deadline in that many seconds."""
        return Deadline(None if seconds is None else monotonic() + seconds)

    def remaining(self) -> float | None:
        """Returns the seconds that are left.

        Raises:
            Timeout: When none are.
        """
        if self.at is None:
            return None
        seconds = self.at - monotonic()
        if seconds <= 0:
            raise Timeout("timeout", "the deadline passed before the call was made")
        return seconds

    def leaves(self, seconds: float) -> bool:
        """Returns whether more than that many seconds are left."""
        return self.at is None or self.at - monotonic() > seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may hold; a larger batch is split into several, whose answers are joined.

    The defaults are those of the server's settings.

    Attributes:
        rows: Images, series or rows of arrays at most (``max_request_rows``).
        size: Bytes at most (``max_request_bytes``).
        in_flight: How many calls of one batch are made at a time.
    """

    rows: int = 8192
    size: int = 32 * 1024 * 1024
    in_flight: int = 4


def split(sizes: Sequence[int], limits: Limits) -> list[slice]:
    """Returns which items go together: as many as the limits allow, in their order.

    Args:
        sizes: Bytes of each item.
        limits: Of one call.
    """
    room = limits.size - _HEAD
    parts, first, total = [], 0, 0
    for index, size in enumerate(sizes):
        if index > first and (total + size + _ITEM > room or index - first >= limits.rows):
            parts.append(slice(first, index))
            first, total = index, 0
        total += size + _ITEM
    parts.append(slice(first, len(sizes)))
    return parts


_HEAD = 4096
"""Bytes of a message beside its items."""
_ITEM = 64
"""Bytes that stand around an item."""
