"""What calls fail with: every kind of error that the server knows, as the client raises it."""

import copy
from typing import Any

import grpc
import pytest

import tensorgate.client as tg
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.protocols.native.grpc import CODES
from service.transport.grpc.status import STATUS_DETAILS, status
from tensorgate.client.errors import error_of

KINDS = {
    ErrorKind.MALFORMED: tg.InvalidInput,
    ErrorKind.INVALID_INPUT: tg.InvalidInput,
    ErrorKind.UNSUPPORTED_FORMAT: tg.InvalidInput,
    ErrorKind.WRONG_MODEL_KIND: tg.InvalidInput,
    ErrorKind.TOO_LARGE: tg.TooLarge,
    ErrorKind.MODEL_NOT_FOUND: tg.NotFound,
    ErrorKind.LABEL_NOT_FOUND: tg.NotFound,
    ErrorKind.SIGNATURE_NOT_FOUND: tg.NotFound,
    ErrorKind.PLOT_NOT_FOUND: tg.NotFound,
    ErrorKind.NOT_FOUND: tg.NotSupported,
    ErrorKind.MISDIRECTED: tg.Forbidden,
    ErrorKind.METHOD_NOT_ALLOWED: tg.NotSupported,
    ErrorKind.NOT_SUPPORTED: tg.NotSupported,
    ErrorKind.UNAUTHENTICATED: tg.Unauthenticated,
    ErrorKind.FORBIDDEN: tg.Forbidden,
    ErrorKind.FAILED_PRECONDITION: tg.FailedPrecondition,
    ErrorKind.LOAD_FAILED: tg.ServerError,
    ErrorKind.NOT_READY: tg.Unavailable,
    ErrorKind.RATE_LIMITED: tg.RateLimited,
    ErrorKind.OVERLOADED: tg.Overloaded,
    ErrorKind.BACKEND_UNAVAILABLE: tg.Unavailable,
    ErrorKind.TIMEOUT: tg.Timeout,
    ErrorKind.BACKEND_FAILED: tg.ServerError,
    ErrorKind.CANCELLED: tg.Cancelled,
    ErrorKind.INTERNAL: tg.ServerError,
}


class Failed:
    """A failed call, as grpc has it."""

    def __init__(self, code: grpc.StatusCode, details: str, trailers: tuple[tuple[str, Any], ...] = ()) -> None:
        self.code = lambda: code
        self.details = lambda: details
        self.trailing_metadata = lambda: trailers


def failed(error: GatewayError) -> Failed:
    code = next(code for code in grpc.StatusCode if code.value[0] == CODES[error.kind])
    details = status(error, "an-id", CODES).SerializeToString()
    return Failed(code, error.message, (("other", "x"), (STATUS_DETAILS, details)))


@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_has_a_class_to_catch(kind: ErrorKind) -> None:
    error = error_of(failed(GatewayError(kind, "so it is")), "here")
    assert type(error) is KINDS[kind]
    assert (error.code, error.message, error.request_id) == (kind.value, "so it is", "an-id")
    assert (error.retry_after is not None) == kind.retryable


def test_violations_say_where_what_was_expected_and_what_came() -> None:
    two = (Violation("images[0]", "a file", "3"), Violation("top_k", "at least 1", "'0', got by mistake"))
    error = error_of(failed(invalid_input(*two)), "here")
    assert [(one.where, one.expected, one.got) for one in error.violations] == [
        ("images[0]", "a file", "3"),
        ("top_k", "at least 1", "'0', got by mistake"),
    ]
    assert str(error).splitlines()[1:] == ["  images[0]: expected a file, got 3", f"  {error.violations[1]}"]
    assert copy.copy(error).violations == error.violations  # as it travels between processes


@pytest.mark.parametrize(
    ("said", "with_tls", "hint"),
    [
        ("last error: UNAVAILABLE: Handshake read failed (Socket closed)", True, "; perhaps it speaks no TLS there"),
        ("last error: UNAVAILABLE: Socket closed", False, "; perhaps it speaks TLS there"),
        ("last error: UNAVAILABLE: Socket closed", True, ""),
        ("last error: Connection refused", False, ""),
    ],
)
def test_a_likely_reason_is_named_where_no_connection_comes_about(said: str, with_tls: bool, hint: str) -> None:
    error = error_of(Failed(grpc.StatusCode.UNAVAILABLE, said), "there:1", with_tls=with_tls)
    assert str(error) == f"no server answers at there:1: {said}{hint}"


def test_what_is_not_of_the_server_is_told_by_its_status() -> None:
    gone = error_of(Failed(grpc.StatusCode.UNAVAILABLE, "refused"), "there:1")
    assert (type(gone), gone.code, str(gone)) == (
        tg.Unavailable,
        "unavailable",
        "no server answers at there:1: refused",
    )
    other = error_of(Failed(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"), "there:1")
    assert (type(other), str(other)) == (
        tg.NotSupported,
        "another server, or an older one, answers at there:1: Method not found!",
    )
    lost = error_of(Failed(grpc.StatusCode.DATA_LOSS, ""), "there:1")
    assert (type(lost), str(lost)) == (tg.ServerError, "there:1: DATA_LOSS")


@pytest.mark.parametrize("details", [b"\xff\xff", b"", b"\x1a\x00"])
def test_details_that_are_none_are_passed_over(details: bytes) -> None:
    error = error_of(Failed(grpc.StatusCode.INTERNAL, "x", ((STATUS_DETAILS, details),)), "here")
    assert (type(error), error.code, error.violations) == (tg.ServerError, "internal", ())
