"""What failed calls of TensorFlow Serving mean: its codes and texts, by our kinds."""

from dataclasses import dataclass

import grpc
from grpc import aio

from service.backends.reasons import reason_in
from service.errors import ErrorKind, GatewayError, OutdatedVersionError

_KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: ErrorKind.INVALID_INPUT,
    grpc.StatusCode.OUT_OF_RANGE: ErrorKind.INVALID_INPUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorKind.OVERLOADED,
    grpc.StatusCode.UNAVAILABLE: ErrorKind.BACKEND_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorKind.TIMEOUT,
}
"""All others are BACKEND_FAILED."""
_GONE = "Servable not found for request"
"""``ServerCore::GetServableHandle``'s words for a version that is not loaded (``aspired_versions_manager.cc``)."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    Attributes:
        error: What it means to whoever asked.
        unreachable: Whether the replica could not be reached, or is going down: nothing has been answered.
        faulty: Whether the replica is to blame, so that it counts against it.
    """

    error: GatewayError
    unreachable: bool = False
    faulty: bool = False

    @property
    def retryable(self) -> bool:
        """Whether another replica may be asked: all that this one said is that it has no room, or no such version."""
        busy = self.error.kind is ErrorKind.OVERLOADED
        return self.unreachable or busy or isinstance(self.error, OutdatedVersionError)


def failure_of(error: aio.AioRpcError) -> Failure:
    """Returns what a failed call means."""
    code, text = error.code(), error.details() or ""
    if code is grpc.StatusCode.NOT_FOUND and text.startswith(_GONE):
        return Failure(OutdatedVersionError("the version was unloaded while the request was on its way; try again"))
    kind = _KINDS.get(code, ErrorKind.BACKEND_FAILED)
    if kind is ErrorKind.BACKEND_UNAVAILABLE:
        found = GatewayError(kind, "the backend cannot be reached", upstream=text)
    elif kind is ErrorKind.TIMEOUT:
        found = GatewayError(kind, "the backend gave no answer within the time that the request allowed")
    elif kind is ErrorKind.OVERLOADED:
        found = GatewayError(kind, f"the backend has no room: {reason_in(text) or code.name}", upstream=text)
    else:
        found = GatewayError(kind, reason_in(text) or f"the backend failed: {code.name}", upstream=text)
    return Failure(
        found,
        unreachable=kind is ErrorKind.BACKEND_UNAVAILABLE,
        faulty=kind in {ErrorKind.BACKEND_FAILED, ErrorKind.TIMEOUT},
    )
