"""The OpenAPI document: the parts of the API families, and what the transport does for every request."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from service import __version__
from service.errors import ErrorKind
from service.transport import operations_openapi

Json = dict[str, Any]

PROBLEM = "Problem"
"""The schema of errors of the typed API, and of everything without a protocol of its own."""

_NEVER_SENT = frozenset({ErrorKind.CANCELLED})
_RETRYABLE = "Retry-After"
_TEXT: Json = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Fragment:
    """One API family's part of the document.

    Attributes:
        build: Takes the responses that tell of errors, by status; returns ``tags``, ``paths`` and ``components``, which
            may refer to the schemas ``ErrorCode`` and ``Violation``.
        status: The family's status of each kind of error.
        error_schema: The schema of the bodies of its errors, by name.
        error_media_type: Of the same.
        quiet: Its paths that heed no timeout, as their requests are not limited.
    """

    build: Callable[[Json], Json]
    status: Mapping[ErrorKind, int]
    error_schema: str
    error_media_type: str
    quiet: frozenset[str] = frozenset()


def document(fragments: Iterable[Fragment]) -> Json:
    """Returns the whole document, OpenAPI 3.1."""
    tags: list[Json] = []
    paths: Json = {}
    schemas: Json = {"ErrorCode": _error_code(), "Violation": _violation(), PROBLEM: _problem()}
    for fragment in fragments:
        part = fragment.build(_error_responses(fragment))
        tags += part["tags"]
        paths |= {path: _with_common(item, timed=path not in fragment.quiet) for path, item in part["paths"].items()}
        schemas |= part["components"]["schemas"]
    own = operations_openapi.fragment()
    paths |= {path: _with_common(item, timed=False) for path, item in own["paths"].items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tensorgate",
            "version": __version__,
            "description": "TensorFlow models over REST. All three APIs are served over gRPC as well.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [*tags, *own["tags"]],
        "paths": paths,
        "components": {"schemas": schemas | own["components"]["schemas"], "headers": _headers()},
    }


def _error_responses(fragment: Fragment) -> Json:
    """Returns the responses that tell of errors: the statuses of a table, each with the codes that it stands for."""
    content = {fragment.error_media_type: {"schema": {"$ref": f"#/components/schemas/{fragment.error_schema}"}}}
    kinds: dict[int, list[ErrorKind]] = {}
    for kind in ErrorKind:
        if kind not in _NEVER_SENT:
            kinds.setdefault(fragment.status[kind], []).append(kind)
    responses = {}
    for status, members in sorted(kinds.items()):
        response: Json = {"description": f"{HTTPStatus(status).phrase}: {', '.join(members)}", "content": content}
        if any(kind.retryable for kind in members):
            response["headers"] = {_RETRYABLE: {"$ref": f"#/components/headers/{_RETRYABLE}"}}
        responses[str(int(status))] = response
    return responses


def _with_common(item: Json, *, timed: bool) -> Json:
    """Returns the operations of a path with what every request has: an id and, where it is timed, a timeout."""
    parameters = [_REQUEST_ID, _REQUEST_TIMEOUT] if timed else [_REQUEST_ID]
    own = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    return {
        verb: {
            **operation,
            "parameters": [*operation.get("parameters", []), *parameters],
            "responses": {
                status: {**response, "headers": {**response.get("headers", {}), **own}}
                for status, response in operation["responses"].items()
            },
        }
        for verb, operation in item.items()
    }


_REQUEST_ID: Json = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Comes back in the answer and stands in the server's log.",
    "schema": _TEXT,
}
_REQUEST_TIMEOUT: Json = {
    "name": "X-Request-Timeout",
    "in": "header",
    "description": "Seconds after which the answer is no longer wanted.",
    "schema": {"type": "number", "exclusiveMinimum": 0},
}


def _headers() -> Json:
    return {
        "X-Request-Id": {
            "description": "The request's id; a new one where it brought none that will do.",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        _RETRYABLE: {
            "description": "Seconds after which it may be tried again.",
            "schema": {"type": "integer", "minimum": 0},
        },
    }


def _error_code() -> Json:
    return {"type": "string", "enum": [kind.value for kind in ErrorKind if kind not in _NEVER_SENT]}


def _violation() -> Json:
    return {
        "type": "object",
        "description": "One thing that is wrong with a request.",
        "required": ["where", "expected", "got"],
        "properties": {"where": _TEXT, "expected": _TEXT, "got": _TEXT},
        "additionalProperties": False,
    }


def _problem() -> Json:
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": {"$ref": "#/components/schemas/ErrorCode"},
            "request_id": _TEXT,
            "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Violation"}},
        },
        "additionalProperties": False,
    }
