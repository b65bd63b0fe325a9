"""What failed calls of TensorFlow Serving mean: from its codes and texts to our kinds of errors."""

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
    grpc.StatusCode.CANCELLED: ErrorKind.BACKEND_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorKind.TIMEOUT,
}
"""All others are BACKEND_FAILED."""
_GONE = "Servable not found for request"
"""``ServerCore::GetServableHandle``'s words for a version that is not loaded (``aspired_versions_manager.cc``)."""
_MEANINGS = (
    ("batch scheduling queue", ErrorKind.OVERLOADED),  # "... to which this task was submitted is full": UNAVAILABLE
    ("timeout exceeded while waiting", ErrorKind.TIMEOUT),
    ("message larger than max", ErrorKind.BACKEND_FAILED),
    ("OOM when allocating", ErrorKind.BACKEND_FAILED),
)
"""Texts that say more than their codes, which are those of a lack of room."""
_NOT_SENT = ("failed to connect", "DNS resolution failed", "errors resolving")
"""What gRPC says of calls that were never sent."""
_BROKEN = ("Socket closed", "Connection reset", "Stream removed", "Cancelling all calls")
"""What it says of calls whose connection broke; it may note a moment later that there is none."""
_UNPARSABLE = "Stream removed"
"""What it says, with UNKNOWN, of calls on whose connection something came that is no HTTP/2."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    Attributes:
        error: What it means to whoever asked.
        unreachable: Whether there was no connection.
        crashed: Whether the connection broke while the call was under way: the request may have been the reason.
        faulty: Whether the replica may be to blame.
        unreadable: Whether what came is no message.
    """

    error: GatewayError
    unreachable: bool = False
    crashed: bool = False
    faulty: bool = False
    unreadable: bool = False

    @property
    def retryable(self) -> bool:
        """Whether another replica may be asked: this one gave no answer, but for having no room or no such version."""
        again = self.unreadable or self.error.kind in {ErrorKind.OVERLOADED, ErrorKind.BACKEND_UNAVAILABLE}
        return again or isinstance(self.error, OutdatedVersionError)


def failure_of(error: aio.AioRpcError, *, connected: bool = True) -> Failure:
    """Returns what a failed call means.

    Args:
        error: As gRPC raised it; it does not say whether the replica sent this status, or gRPC on this side made it.
        connected: Whether there was a connection right after it.
    """
    code, text = error.code(), error.details() or ""
    if code is grpc.StatusCode.NOT_FOUND and text.startswith(_GONE):
        return Failure(OutdatedVersionError("the version was unloaded while the request was on its way; try again"))
    kind = _KINDS.get(code, ErrorKind.BACKEND_FAILED)
    if code is grpc.StatusCode.UNKNOWN and text.startswith(_UNPARSABLE):
        kind = ErrorKind.BACKEND_UNAVAILABLE
    if kind in {ErrorKind.OVERLOADED, ErrorKind.BACKEND_UNAVAILABLE}:
        kind = next((meaning for part, meaning in _MEANINGS if part in text), kind)
    if kind is ErrorKind.BACKEND_UNAVAILABLE:
        found = GatewayError(kind, "the backend cannot be reached", upstream=text)
        answered = connected and not any(part in text for part in (*_NOT_SENT, *_BROKEN))
        if code is grpc.StatusCode.CANCELLED:  # not by this side: a server that ends does so to its calls
            return Failure(found, faulty=True, crashed=True)
        if answered:
            return Failure(found, faulty=True)
        return Failure(found, unreachable=True, crashed=not any(part in text for part in _NOT_SENT))
    if kind is ErrorKind.TIMEOUT:
        found = GatewayError(kind, "the backend gave no answer within the time that the request allowed")
    elif kind is ErrorKind.OVERLOADED:
        found = GatewayError(kind, f"the backend has no room: {reason_in(text) or code.name}", upstream=text)
    else:
        found = GatewayError(kind, reason_in(text) or f"the backend failed: {code.name}", upstream=text)
    return Failure(found, faulty=kind in {ErrorKind.BACKEND_FAILED, ErrorKind.TIMEOUT})


def disconnected() -> Failure:
    """Returns the failure of a call whose connection was closed on this side."""
    return Failure(GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "the backend stopped answering"), unreachable=True)


def invalid_answer(what: str) -> Failure:
    """Returns the failure of a call whose answer makes no sense."""
    error = GatewayError(ErrorKind.BACKEND_FAILED, f"the backend's answer makes no sense: {what}")
    return Failure(error, faulty=True, unreadable=True)
