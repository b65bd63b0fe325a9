"""Errors as the typed API and everything without a protocol of its own shows them over HTTP: RFC 9457."""

from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.errors import ErrorKind, GatewayError, Violation

MEDIA_TYPE = "application/problem+json"

_CLIENT_CLOSED_REQUEST = 499
"""Not in the registry; what proxies write in their logs for a client that went away."""

STATUS: dict[ErrorKind, int] = {
    ErrorKind.MALFORMED: HTTPStatus.BAD_REQUEST,
    ErrorKind.INVALID_INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.UNSUPPORTED_FORMAT: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ErrorKind.WRONG_MODEL_KIND: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.MODEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.LABEL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.SIGNATURE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    ErrorKind.NOT_SUPPORTED: HTTPStatus.NOT_IMPLEMENTED,
    ErrorKind.FORBIDDEN: HTTPStatus.FORBIDDEN,
    ErrorKind.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    ErrorKind.LOAD_FAILED: HTTPStatus.BAD_GATEWAY,
    ErrorKind.NOT_READY: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.OVERLOADED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorKind.BACKEND_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    ErrorKind.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    ErrorKind.BACKEND_FAILED: HTTPStatus.BAD_GATEWAY,
    ErrorKind.CANCELLED: _CLIENT_CLOSED_REQUEST,
    ErrorKind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
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


def problem_response(error: GatewayError, request_id: str) -> Response:
    """Returns the problem document as a response."""
    return Response(orjson.dumps(problem(error, request_id)), STATUS[error.kind], media_type=MEDIA_TYPE)


def from_http_exception(error: HTTPException, *, method: str, path: str) -> GatewayError:
    """Returns what the web framework found: no such path, wrong method, or a form that cannot be parsed."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return GatewayError(ErrorKind.NOT_FOUND, f"there is nothing at {path}; GET /docs shows what there is")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another one")
        violation = Violation("method", allowed, method)
        return GatewayError(ErrorKind.METHOD_NOT_ALLOWED, str(violation), [violation])
    if "maximum" in error.detail.lower():  # of a form's parts, or of the size of one
        return GatewayError(ErrorKind.TOO_LARGE, f"the form is too large: {error.detail}")
    return GatewayError(ErrorKind.MALFORMED, f"the body could not be parsed: {error.detail}")
