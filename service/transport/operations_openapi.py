"""The part of the OpenAPI document that tells of probes, metrics, the document itself and the page."""

from typing import Any

Json = dict[str, Any]

TAG = "Operations"

_JSON = "application/json"
_TEXT: Json = {"type": "string"}


def fragment() -> Json:
    """Returns ``tags``, ``paths`` and ``components``."""
    readiness = {"$ref": "#/components/schemas/Readiness"}
    return {
        "tags": [{"name": TAG, "description": "What operators and their tools ask for."}],
        "paths": {
            "/livez": _get(
                "livez",
                "Whether the process works",
                {"200": _response("It does.", {_JSON: _object(status={"const": "ok"})})},
            ),
            "/readyz": _get(
                "readyz",
                "Whether requests can be served, with the state of each model",
                {
                    "200": _response("They can.", {_JSON: readiness}),
                    "503": _response("They cannot, yet or any more.", {_JSON: readiness}),
                },
            ),
            "/metrics": _get(
                "metrics",
                "Prometheus metrics",
                {"200": _response("All metrics.", {"text/plain": _TEXT, "application/openmetrics-text": _TEXT})},
            ),
            "/openapi.json": _get(
                "openapi", "This document", {"200": _response("OpenAPI 3.1.", {_JSON: {"type": "object"}})}
            ),
            "/docs": _get("docs", "The page that shows it", {"200": _response("The page.", {"text/html": _TEXT})}),
            "/": _get("root", "Leads to the page", {"307": _redirect("/docs")}),
        },
        "components": {"schemas": {"Readiness": _readiness()}},
    }


def _get(name: str, summary: str, responses: Json) -> Json:
    return {"get": {"operationId": name, "tags": [TAG], "summary": summary, "responses": responses}}


def _response(description: str, schemas: Json) -> Json:
    content = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    return {"description": description, "content": content}


def _redirect(target: str) -> Json:
    return {
        "description": "It is elsewhere.",
        "headers": {"Location": {"required": True, "schema": {"type": "string", "const": target}}},
    }


def _object(**properties: Json) -> Json:
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _readiness() -> Json:
    state = {"type": "string", "enum": ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]}
    versions = {"type": "object", "additionalProperties": _object(state=state, error=_TEXT)}
    model = _object(ready={"type": "boolean"}, versions=versions)
    return _object(
        status={"type": "string", "enum": ["ready", "not ready"]},
        accepting={"type": "boolean"},
        models={"type": "object", "additionalProperties": model},
    )
