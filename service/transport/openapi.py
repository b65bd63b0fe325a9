"""The OpenAPI document: the parts of the API families, and what all of them share."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from service import __version__
from service.errors import ErrorKind
from service.transport.rest_errors import MEDIA_TYPE, STATUS

Json = dict[str, Any]
Fragment = Callable[[Json], Json]
"""Takes the responses that tell of errors; returns ``paths`` and ``components`` of one API family."""

_NEVER_SENT = frozenset({ErrorKind.CANCELLED})


def document(fragments: Iterable[Fragment]) -> Json:
    """Returns the whole document, OpenAPI 3.1."""
    paths: Json = {}
    schemas: Json = {"Problem": _problem_schema()}
    for fragment in fragments:
        part = fragment(_problem_responses())
        paths |= part["paths"]
        schemas |= part["components"]["schemas"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tensorgate",
            "version": __version__,
            "description": "TensorFlow models over REST. Over gRPC the same API is tensorgate.v1.TensorgateService.",
        },
        "paths": paths | _operations(),
        "components": {"schemas": schemas},
    }


def _problem_schema() -> Json:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": text,
            "status": {"type": "integer"},
            "detail": text,
            "code": {"type": "string", "enum": [kind.value for kind in ErrorKind if kind not in _NEVER_SENT]},
            "request_id": text,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["where", "expected", "got"],
                    "properties": {"where": text, "expected": text, "got": text},
                },
            },
        },
    }


def _problem_responses() -> Json:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    kinds: dict[int, list[str]] = {}
    for kind in ErrorKind:
        if kind not in _NEVER_SENT:
            kinds.setdefault(STATUS[kind], []).append(kind.value)
    return {
        str(int(status)): {"description": f"{HTTPStatus(status).phrase}: {', '.join(values)}", "content": content}
        for status, values in sorted(kinds.items())
    }


def _operations() -> Json:
    def get(name: str, summary: str, *, media_type: str, responses: dict[str, str]) -> Json:
        return {
            "get": {
                "operationId": name,
                "tags": ["operations"],
                "summary": summary,
                "responses": {
                    status: {"description": description, "content": {media_type: {"schema": {}}}}
                    for status, description in responses.items()
                },
            }
        }

    json = "application/json"
    return {
        "/livez": get("livez", "Whether the process works", media_type=json, responses={"200": "It does."}),
        "/readyz": get(
            "readyz",
            "Whether requests can be served, with the state of each model",
            media_type=json,
            responses={"200": "They can.", "503": "They cannot, yet or any more."},
        ),
        "/metrics": get("metrics", "Prometheus metrics", media_type="text/plain", responses={"200": "All metrics."}),
    }
