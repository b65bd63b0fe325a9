"""The OpenAPI document: the parts of the API families, and what the transport does for every request."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Any

import orjson

from service import __version__
from service.core.call import Call
from service.core.rights import Access
from service.errors import ErrorKind

Json = dict[str, Any]

PROBLEM = "Problem"
"""The response for errors of the typed API, and of every path that is no protocol's."""

_NEVER_SENT = frozenset({ErrorKind.CANCELLED})
_REQUEST_ID = {"$ref": "#/components/parameters/X-Request-Id"}
_SESSION = {"$ref": "#/components/parameters/X-Tensorgate-Session"}
_VERSION = "X-Tensorgate-Model-Version"
_VERSION_HEADER = {"$ref": f"#/components/headers/{_VERSION}"}
_REQUEST_TIMEOUT = {"$ref": "#/components/parameters/X-Request-Timeout"}


@dataclass(frozen=True, slots=True)
class Fragment:
    """One API family's part of the document.

    Attributes:
        read: Returns ``tags``, ``paths`` and ``components``, new ones each time, with examples for models that the call
            may read. They may refer to the components of
            ``openapi.json``; statuses that stand for errors are left out, but where the body is not that of errors.
        status: The family's status of each kind of error.
        error: Name of the response for errors among the components.
        quiet: Its paths that ignore timeouts, as their requests are not limited.
        shared: Its paths whose requests several versions may share by weight.
    """

    read: Callable[[Call], Json]
    status: Mapping[ErrorKind, int]
    error: str
    quiet: frozenset[str] = frozenset()
    shared: frozenset[str] = frozenset()


def document(
    fragments: Iterable[Fragment],
    call: Call,
    access: Mapping[str, Access] | None,
    without: Collection[tuple[str, str]] = (),
) -> Json:
    """Returns the whole document, OpenAPI 3.1.

    Args:
        fragments: The API families' parts.
        call: Who asks for it.
        access: What it takes to ask a path, by its template; ``None`` where everybody may.
        without: Verbs and paths that are not answered where it is read.
    """
    whole: Json = orjson.loads(files("service.transport").joinpath("openapi.json").read_bytes())
    own_tags, own_paths, components = whole["tags"], whole["paths"], whole["components"]
    whole["info"]["version"] = __version__
    whole["tags"], whole["paths"] = [], {}
    components["schemas"]["ErrorCode"]["enum"] = [kind.value for kind in ErrorKind if kind not in _NEVER_SENT]
    for fragment in fragments:
        part, errors = fragment.read(call), _errors(fragment)
        whole["tags"] += part["tags"]
        whole["paths"] |= part["paths"]
        for path, item in part["paths"].items():
            common = [_REQUEST_ID] if path in fragment.quiet else [_REQUEST_ID, _REQUEST_TIMEOUT]
            common += [_SESSION] if path in fragment.shared else []
            for operation in item.values():
                operation["parameters"] = [*operation.get("parameters", []), *common]
                operation["responses"] = dict(sorted((errors | operation["responses"]).items()))
        for kind, members in part["components"].items():
            components.setdefault(kind, {}).update(members)
        for path in fragment.shared:
            for operation in part["paths"][path].values():
                name = operation["responses"]["200"]["$ref"].rpartition("/")[2]
                components["responses"][name].setdefault("headers", {})[_VERSION] = _VERSION_HEADER
    whole["tags"] += own_tags
    whole["paths"] |= own_paths
    for verb, path in without:
        del whole["paths"][path][verb.lower()]
    whole["paths"] = {path: item for path, item in whole["paths"].items() if item}
    if access is not None:
        _secure(whole, access)
    for response in components["responses"].values():
        response.setdefault("headers", {})["X-Request-Id"] = {"$ref": "#/components/headers/X-Request-Id"}
    return whole


def _secure(whole: Json, access: Mapping[str, Access]) -> None:
    """Says how a client shows who it is, and where it need not."""
    bearer = {"type": "http", "scheme": "bearer", "description": "A key (tg_...) or a token (JWT)."}
    key = {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key (tg_...)."}
    whole["components"]["securitySchemes"] = {"Bearer": bearer, "Key": key}
    whole["security"] = [{"Bearer": []}, {"Key": []}]
    refused = {str(status): {"$ref": f"#/components/responses/{PROBLEM}"} for status in (401, 403)}
    for path, item in whole["paths"].items():
        for operation in item.values():
            if access[path] is Access.PUBLIC:
                operation["security"] = [{}, *whole["security"]]
            elif access[path] is Access.METRICS:
                operation["responses"] |= refused


def _errors(fragment: Fragment) -> Json:
    """Returns the responses for errors: the statuses of a table, each with the codes that it stands for."""
    kinds: dict[int, list[ErrorKind]] = {}
    for kind in ErrorKind:
        if kind not in _NEVER_SENT:
            kinds.setdefault(fragment.status[kind], []).append(kind)
    return {
        str(int(status)): {
            "$ref": f"#/components/responses/{fragment.error}",
            "description": f"{HTTPStatus(status).phrase}: {', '.join(members)}",
        }
        for status, members in kinds.items()
    }
