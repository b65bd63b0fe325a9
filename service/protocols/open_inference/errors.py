"""Errors as the Open Inference Protocol shows them: a status and a code for each kind, and the JSON body.

Over REST, what is wrong with the input is 400 and everything that the server failed at is 500: its clients tell no
more apart than that. What they must tell apart to know whether to try again has a status of its own.
"""

from http import HTTPStatus

import grpc
from starlette.responses import Response

from service.codecs.json_tensor import dump_json
from service.errors import ErrorKind, GatewayError

_CLIENT_CLOSED_REQUEST = 499
"""Not in the registry; what proxies write in their logs for a client that went away."""

STATUS: dict[ErrorKind, int] = {
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
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    ErrorKind.LOAD_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.BACKEND_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorKind.BACKEND_FAILED: HTTPStatus.INTERNAL_SERVER_ERROR,
    ErrorKind.CANCELLED: _CLIENT_CLOSED_REQUEST,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

CODE: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNSUPPORTED_FORMAT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.WRONG_MODEL_KIND: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.SIGNATURE_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.NOT_FOUND: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.METHOD_NOT_ALLOWED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.NOT_SUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    ErrorKind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.FAILED_PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.LOAD_FAILED: grpc.StatusCode.INTERNAL,
    ErrorKind.NOT_READY: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.BACKEND_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.BACKEND_FAILED: grpc.StatusCode.INTERNAL,
    ErrorKind.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}


def error_response(error: GatewayError, request_id: str) -> Response:
    """Returns the error as a response: ``error`` is the protocol's, the other members are ours."""
    body = {
        "error": error.message,
        "code": error.kind.value,
        "details": error.details(),
        "request_id": request_id,
    }
    return Response(dump_json(body), STATUS[error.kind], media_type="application/json")
