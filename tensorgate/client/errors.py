"""What calls can fail with.

TensorgateError
├── InvalidInput         something in the request is wrong: a field, a dtype, a shape, a value
│   └── TooLarge         it is over a limit of the server
├── NotFound             there is no such model, version, label or signature
├── FailedPrecondition   something else would have to be so first
├── NotSupported         it is understood, and cannot be done here
├── Unauthenticated      the server does not know who asks
├── Forbidden            who asks may not do that
├── RateLimited          who asks has asked for more than it may
├── Unavailable          no server answers, or the model is not ready
│   └── Overloaded       the server has as many requests as it takes
├── Timeout              the deadline passed before the answer was there
├── Cancelled            the call was cancelled
└── ServerError          the model or the server failed
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tensorgate.wire import errors_pb2

_DETAILS = "grpc-status-details-bin"
_DOMAIN = "tensorgate"
_EXPECTED, _GOT = "expected ", ", got "


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with the input.

    Attributes:
        where: Path to it, such as ``images[2].pixels``.
        expected: What would have been right.
        got: What came.
    """

    where: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


class TensorgateError(Exception):
    """A call failed.

    Attributes:
        code: The stable code, such as ``invalid_input`` (docs/api.md lists them); of a failure that is not the server's
            own, the name of the gRPC status in small letters.
        message: For people.
        violations: What is wrong with the input, as far as it is known.
        status: Of gRPC; ``None`` where the client found it out before it called.
        request_id: By which the server's log names the request; empty where no server answered.
        retry_after: Seconds after which the same call may succeed, where the server said so.
    """

    def __init__(
        self,
        code: str,
        message: str,
        violations: tuple[Violation, ...] = (),
        *,
        status: grpc.StatusCode | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.violations = violations
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Returns the message and, where it does not say all of them, the violations, one a line."""
        more = [f"\n  {violation}" for violation in self.violations] if len(self.violations) > 1 else []
        return f"{self.message}{''.join(more)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.message, self.violations), self.__dict__


class InvalidInput(TensorgateError):
    """Something in the request is wrong; `violations` says what."""


class TooLarge(InvalidInput):
    """The request, or what it holds, is over a limit of the server; the message names the setting."""


class NotFound(TensorgateError):
    """There is no such model, version, label or signature."""


class FailedPrecondition(TensorgateError):
    """Something else would have to be so first, such as a version available before a label is put on it."""


class NotSupported(TensorgateError):
    """It is understood, and cannot be done here."""


class Unauthenticated(TensorgateError):
    """The server does not know who asks: a key is missing, wrong or no longer good."""


class Forbidden(TensorgateError):
    """Who asks may not do that."""


class RateLimited(TensorgateError):
    """Who asks has asked for more than it may within a time; `retry_after` says when to ask again."""


class Unavailable(TensorgateError):
    """No server answers, or the model is not ready."""


class Overloaded(Unavailable):
    """The server has as many requests as it takes."""


class Timeout(TensorgateError):
    """The deadline passed before the answer was there."""


class Cancelled(TensorgateError):
    """The call was cancelled."""


class ServerError(TensorgateError):
    """The model or the server failed."""


_BY_CODE: dict[str, type[TensorgateError]] = {
    "too_large": TooLarge,
    "wrong_model_kind": InvalidInput,
    "overloaded": Overloaded,
}
"""Where the status alone does not tell."""
_BY_STATUS: dict[grpc.StatusCode, type[TensorgateError]] = {
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.DEADLINE_EXCEEDED: Timeout,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.OUT_OF_RANGE: InvalidInput,
    grpc.StatusCode.UNIMPLEMENTED: NotSupported,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}


_WITHOUT_DETAILS = {
    grpc.StatusCode.UNAVAILABLE: "no server answers at ",
    grpc.StatusCode.DEADLINE_EXCEEDED: "no answer came in time from ",
    grpc.StatusCode.UNIMPLEMENTED: "another server, or an older one, answers at ",
}
"""What it means where the status comes without this server's details; the address follows."""


_OTHER_PORT = "it speaks HTTP/1.1 there: gRPC has a port of its own, 8001 where nobody said otherwise"
_HINTS: dict[bool, dict[str, str]] = {
    True: {
        "missing selected ALPN": _OTHER_PORT,
        "WRONG_VERSION_NUMBER": "it speaks no TLS there, or another protocol",
        "Handshake read failed": "perhaps it speaks no TLS there",
    },
    False: {
        "http1.x server": _OTHER_PORT,
        "Socket closed": "perhaps it speaks TLS there",
        "Connection reset": "perhaps it speaks TLS there",
    },
}
"""By whether the client speaks TLS, and what grpc says of a connection that did not come about: the likely reason."""


def error_of(failed: Any, address: str, *, with_tls: bool = False) -> TensorgateError:
    """Returns what a failed call means.

    Args:
        failed: A ``grpc.RpcError`` of either kind of channel.
        address: Of the server, for the message where none answered, or another.
        with_tls: Whether the client speaks TLS to it.
    """
    status: grpc.StatusCode = failed.code()
    message = failed.details() or status.name
    details = _details(failed)
    info = details.get("ErrorInfo")
    if info is None:
        hints = _HINTS[with_tls].items() if status is grpc.StatusCode.UNAVAILABLE else ()
        hint = next((f"; {hint}" for said, hint in hints if said in message), "")
        words = f"{_WITHOUT_DETAILS.get(status, '')}{address}: {message}{hint}"
        return _BY_STATUS.get(status, ServerError)(status.name.lower(), words, status=status)
    kind = _BY_CODE.get(info.reason) or _BY_STATUS.get(status, ServerError)
    retry = details.get("RetryInfo")
    bad = details.get("BadRequest")
    return kind(
        info.reason,
        message,
        () if bad is None else tuple(map(_violation, bad.field_violations)),
        status=status,
        request_id=info.metadata.get("request_id", ""),
        retry_after=None if retry is None else retry.retry_delay.ToTimedelta().total_seconds(),
    )


def invalid(where: str, expected: str, got: str) -> InvalidInput:
    """Returns the error of an argument that no server needs to see."""
    violation = Violation(where, expected, got)
    return InvalidInput("invalid_input", str(violation), (violation,))


def _details(failed: Any) -> dict[str, Any]:
    """Returns the messages in the status details, by their names; none of what is not this server's."""
    for name, value in failed.trailing_metadata() or ():
        if name == _DETAILS:
            try:
                found = dict(_messages(errors_pb2.Status.FromString(value)))
            except DecodeError:
                return {}
            return found if "ErrorInfo" in found and found["ErrorInfo"].domain == _DOMAIN else {}
    return {}


def _messages(status: errors_pb2.Status) -> Iterator[tuple[str, Any]]:
    for detail in status.details:
        package, _, name = detail.type_url.rpartition("/")[2].rpartition(".")
        if package == "google.rpc" and hasattr(errors_pb2, name):
            yield name, getattr(errors_pb2, name).FromString(detail.value)


def _violation(message: errors_pb2.BadRequest.FieldViolation) -> Violation:
    expected, _, got = message.description.removeprefix(_EXPECTED).partition(_GOT)
    return Violation(message.field, expected, got)
