"""Errors over HTTP as the typed API, and everything without a protocol of its own, shows them: RFC 9457."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from service.errors import ErrorKind, GatewayError
from service.seam import statuses
from service.seam.http import HttpResponse

MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[ErrorKind, int] = {
    **statuses.HTTP,
    ErrorKind.INVALID_INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.UNSUPPORTED_FORMAT: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorKind.WRONG_MODEL_KIND: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.LOAD_FAILED: HTTPStatus.BAD_GATEWAY,
    ErrorKind.BACKEND_FAILED: HTTPStatus.BAD_GATEWAY,
}


def problem(error: GatewayError, request_id: str) -> dict[str, Any]:
    """Returns the members of the problem document."""
    return {
        "type": f"urn:tensorgate:problem:{error.kind}",
        "title": error.kind.replace("_", " ").capitalize(),
        "status": int(STATUS[error.kind]),
        "detail": error.message,
        "code": error.kind.value,
        "request_id": request_id,
        "errors": error.details(),
    }


def problem_response(error: GatewayError, request_id: str) -> HttpResponse:
    """Returns the problem document as a response."""
    return HttpResponse(orjson.dumps(problem(error, request_id)), STATUS[error.kind], MEDIA_TYPE)
