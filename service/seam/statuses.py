"""What each kind of error is over HTTP and over gRPC: the base, which the protocols override where theirs differ."""

from collections.abc import Mapping
from enum import IntEnum
from http import HTTPStatus

from service.errors import ErrorKind


class Code(IntEnum):
    """The status codes of gRPC (https://grpc.io/docs/guides/status-codes/)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


_CLIENT_CLOSED_REQUEST = 499
"""Not in the registry; what proxies write in their logs for a client that went away."""

HTTP: Mapping[ErrorKind, int] = {
    ErrorKind.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorKind.INVALID_INPUT: HTTPStatus.BAD_REQUEST,
    ErrorKind.UNSUPPORTED_FORMAT: HTTPStatus.BAD_REQUEST,
    ErrorKind.WRONG_MODEL_KIND: HTTPStatus.BAD_REQUEST,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.MODEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.SIGNATURE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorKind.NOT_SUPPORTED: HTTPStatus.NOT_IMPLEMENTED,
    ErrorKind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    ErrorKind.LOAD_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.BACKEND_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorKind.BACKEND_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.CANCELLED: _CLIENT_CLOSED_REQUEST,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

GRPC: Mapping[ErrorKind, Code] = {
    ErrorKind.MALFORMED: Code.INVALID_ARGUMENT,
    ErrorKind.INVALID_INPUT: Code.INVALID_ARGUMENT,
    ErrorKind.UNSUPPORTED_FORMAT: Code.INVALID_ARGUMENT,
    ErrorKind.WRONG_MODEL_KIND: Code.INVALID_ARGUMENT,
    ErrorKind.TOO_LARGE: Code.RESOURCE_EXHAUSTED,
    ErrorKind.MODEL_NOT_FOUND: Code.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: Code.NOT_FOUND,
    ErrorKind.SIGNATURE_NOT_FOUND: Code.NOT_FOUND,
    ErrorKind.NOT_FOUND: Code.UNIMPLEMENTED,
    ErrorKind.METHOD_NOT_ALLOWED: Code.UNIMPLEMENTED,
    ErrorKind.NOT_SUPPORTED: Code.UNIMPLEMENTED,
    ErrorKind.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: Code.PERMISSION_DENIED,
    ErrorKind.FAILED_PRECONDITION: Code.FAILED_PRECONDITION,
    ErrorKind.LOAD_FAILED: Code.INTERNAL,
    ErrorKind.NOT_READY: Code.UNAVAILABLE,
    ErrorKind.RATE_LIMITED: Code.RESOURCE_EXHAUSTED,
    ErrorKind.OVERLOADED: Code.RESOURCE_EXHAUSTED,
    ErrorKind.BACKEND_UNAVAILABLE: Code.UNAVAILABLE,
    ErrorKind.TIMEOUT: Code.DEADLINE_EXCEEDED,
    ErrorKind.BACKEND_FAILED: Code.INTERNAL,
    ErrorKind.CANCELLED: Code.CANCELLED,
    ErrorKind.INTERNAL: Code.INTERNAL,
}
