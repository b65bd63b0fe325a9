"""Errors as TensorFlow Serving shows them: its codes for each kind, and its body with ours beside it.

The codes are those of its ``http_server.cc`` and of its services; `docs/protocols.md` lists where ours differ.
"""

from http import HTTPStatus

import grpc
import orjson
from starlette.responses import Response

from service.errors import ErrorKind, GatewayError

CODES: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNSUPPORTED_FORMAT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.WRONG_MODEL_KIND: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.SIGNATURE_NOT_FOUND: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.NOT_FOUND: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.METHOD_NOT_ALLOWED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.NOT_SUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.LOAD_FAILED: grpc.StatusCode.UNKNOWN,
    ErrorKind.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.BACKEND_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.BACKEND_FAILED: grpc.StatusCode.INTERNAL,
    ErrorKind.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}

_CLIENT_CLOSED_REQUEST = 499

STATUS: dict[ErrorKind, int] = {
    ErrorKind.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorKind.INVALID_INPUT: HTTPStatus.BAD_REQUEST,
    ErrorKind.UNSUPPORTED_FORMAT: HTTPStatus.BAD_REQUEST,
    ErrorKind.WRONG_MODEL_KIND: HTTPStatus.BAD_REQUEST,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.MODEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: HTTPStatus.BAD_REQUEST,
    ErrorKind.SIGNATURE_NOT_FOUND: HTTPStatus.BAD_REQUEST,
    ErrorKind.NOT_FOUND: HTTPStatus.BAD_REQUEST,
    ErrorKind.METHOD_NOT_ALLOWED: HTTPStatus.BAD_REQUEST,
    ErrorKind.NOT_SUPPORTED: HTTPStatus.NOT_IMPLEMENTED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    ErrorKind.LOAD_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.BACKEND_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorKind.BACKEND_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.CANCELLED: _CLIENT_CLOSED_REQUEST,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


def error_response(error: GatewayError, request_id: str) -> Response:
    """Returns upstream's body, ``{"error": text}``, with code, details and request id beside the text."""
    body = {
        "error": error.message,
        "code": error.kind.value,
        "details": error.details(),
        "request_id": request_id,
    }
    return Response(orjson.dumps(body), STATUS[error.kind], media_type="application/json")
