"""Errors as TensorFlow Serving shows them: its codes for each kind, and its body with ours beside it.

The codes are those of its ``http_server.cc`` and of its services; `docs/protocols.md` lists where ours differ.
"""

from collections.abc import Mapping
from http import HTTPStatus

import orjson

from service.errors import ErrorKind, GatewayError
from service.seam import statuses
from service.seam.http import HttpResponse
from service.seam.statuses import Code

CODES: Mapping[ErrorKind, Code] = {
    **statuses.GRPC,
    ErrorKind.TOO_LARGE: Code.INVALID_ARGUMENT,
    ErrorKind.LABEL_NOT_FOUND: Code.INVALID_ARGUMENT,
    ErrorKind.SIGNATURE_NOT_FOUND: Code.FAILED_PRECONDITION,
    ErrorKind.LOAD_FAILED: Code.UNKNOWN,
}

STATUS: Mapping[ErrorKind, int] = {
    **statuses.HTTP,
    ErrorKind.LABEL_NOT_FOUND: HTTPStatus.BAD_REQUEST,
    ErrorKind.SIGNATURE_NOT_FOUND: HTTPStatus.BAD_REQUEST,
    ErrorKind.NOT_FOUND: HTTPStatus.BAD_REQUEST,
    ErrorKind.METHOD_NOT_ALLOWED: HTTPStatus.BAD_REQUEST,
    ErrorKind.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
}


def error_response(error: GatewayError, request_id: str) -> HttpResponse:
    """Returns upstream's body, ``{"error": text}``, with code, details and request id beside the text."""
    body = {
        "error": error.message,
        "code": error.kind.value,
        "details": error.details(),
        "request_id": request_id,
    }
    return HttpResponse(orjson.dumps(body), STATUS[error.kind])
