"""The typed API's part of the OpenAPI document: a row for each operation, and the messages' own schemas."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from service import schemas
from service.codecs.model_card import MEDIA_TYPES
from service.codecs.samples import available, first_of
from service.core.tasks import Forecaster, ImageClassifier
from service.core.visibility import SeenModels
from service.protocols.native import card, drift, examples, labels, rollout, shadow

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Operation:
    verb: str
    path: str
    name: str
    summary: str
    request: type[BaseModel] | None
    response: type[BaseModel] | None

    @property
    def has_body(self) -> bool:
        return self.verb in {"post", "put"}


_MODEL = "/api/v1/models/{model}"
_LABEL = _MODEL + "/labels/{label}"
_PLOT = _MODEL + "/card/{plot}"
SHARED = frozenset({_PLOT, *(f"{_MODEL}/{call}" for call in ("classify", "forecast", "card", "drift"))})
"""Paths whose requests several versions may share."""
_OPERATIONS = (
    _Operation("get", "/api/v1/models", "listModels", "Every model there is", None, schemas.ListModelsResponse),
    _Operation(
        "get",
        _MODEL,
        "getModel",
        "One model: its versions, their states, what they take and give",
        schemas.GetModelRequest,
        schemas.ModelInfo,
    ),
    _Operation(
        "get",
        _MODEL + "/drift",
        "getDrift",
        "How far what a model is asked and answers is from what it was when it was trained",
        drift.GetDriftRequest,
        drift.GetDriftResponse,
    ),
    _Operation(
        "get",
        _MODEL + "/rollout",
        "getRollout",
        "How the rollout of a new version stands",
        rollout.GetRolloutRequest,
        rollout.GetRolloutResponse,
    ),
    _Operation(
        "get",
        _MODEL + "/shadow",
        "getShadow",
        "How a version that gets copies of requests agrees with the one that answers them",
        shadow.GetShadowRequest,
        shadow.GetShadowResponse,
    ),
    _Operation(
        "get",
        _MODEL + "/card",
        "getCard",
        "What training reported of a model: its card, figures and plots",
        card.GetCardRequest,
        card.GetCardResponse,
    ),
    _Operation("get", _PLOT, "getPlot", "A plot of a model's card", card.GetPlotRequest, None),
    _Operation(
        "post",
        _MODEL + "/classify",
        "classify",
        "Classify images: in JSON, as files or pixels; one image file as body; or a form with files",
        schemas.ClassifyRequest,
        schemas.ClassifyResponse,
    ),
    _Operation(
        "post",
        _MODEL + "/forecast",
        "forecast",
        "Forecast series",
        schemas.ForecastRequest,
        schemas.ForecastResponse,
    ),
    _Operation(
        "put",
        _LABEL,
        "setLabel",
        "Put a label on a version, in place of the one that has it, or on several by weight",
        labels.SetLabelRequest,
        schemas.ModelInfo,
    ),
    _Operation("delete", _LABEL, "deleteLabel", "Take a label away", labels.DeleteLabelRequest, schemas.ModelInfo),
)
_REF = "#/components/schemas/"
_BINARY: Json = {"type": "string", "format": "binary"}
_FORM: Json = {
    "type": "object",
    "description": "Files in parts of any name; the other fields as the query has them.",
    "required": ["file"],
    "properties": {"file": {"type": "array", "minItems": 1, "items": _BINARY}},
}
_PLOTS: Json = {media_type: {"schema": _BINARY} for media_type in MEDIA_TYPES.values()}
_IMAGES: Json = {
    **{f"image/{kind}": {"schema": _BINARY} for kind in ("png", "jpeg", "gif", "bmp")},
    "multipart/form-data": {"schema": _FORM},
}
"""Bodies of classify that are not JSON."""


def fragment(models: SeenModels) -> Json:
    """Returns ``tags``, ``paths`` and ``components``, with examples for the models that are available.

    Args:
        models: Those that are to be shown.
    """
    used: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (made.response, "serialization") for made in _OPERATIONS if made.response
    ]
    used += [(made.request, "validation") for made in _OPERATIONS if made.request]
    _, definitions = models_json_schema(used, ref_template=_REF + "{model}")
    components = {"schemas": definitions["$defs"], "responses": {}}
    shown = _examples(models)
    paths: Json = {}
    for made in _OPERATIONS:
        answer = made.response.__name__ if made.response else "Plot"
        content = _json(answer) if made.response else _PLOTS
        components["responses"][answer] = {"description": "The answer.", "content": content}
        paths.setdefault(made.path, {})[made.verb] = {
            "operationId": made.name,
            "tags": ["Typed API"],
            "summary": made.summary,
            **_request(made, components["schemas"], *shown.get(made.name, (None, {}))),
            "responses": {"200": {"$ref": f"#/components/responses/{answer}"}},
        }
    paths[_MODEL + "/classify"]["post"]["requestBody"]["content"] |= _IMAGES
    for schema in definitions["$defs"].values():
        for field in schema.get("properties", {}).values():
            field.pop("default", None)  # generators of clients make a field with one required
    description = "This server's own API, the same over gRPC as tensorgate.v1.TensorgateService: images and series in."
    return {"tags": [{"name": "Typed API", "description": description}], "paths": paths, "components": components}


def _json(schema: str, **more: Any) -> Json:
    return {"application/json": {"schema": {"$ref": _REF + schema}, **more}}


def _request(operation: _Operation, components: Json, model: str | None, bodies: Json) -> Json:
    """Returns parameters and body: the path has its fields, the query may have the optional ones, the body all others.

    Args:
        operation: Whose they are.
        components: All schemas by name; fields that the path has are taken out of the request's.
        model: Name of a model to be shown; ``None`` without one.
        bodies: JSON to be shown, by what it shows.
    """
    if operation.request is None:
        return {}
    name = operation.request.__name__
    fields = components[name]["properties"]
    in_path = [field for field in fields if f"{{{field}}}" in operation.path]
    parameters = [_parameter(field, "path", fields[field]) for field in in_path]
    optional = {field: schema for field, schema in fields.items() if "default" in schema and not _is_object(schema)}
    parameters += [_parameter(field, "query", schema) for field, schema in optional.items()]
    if model is not None:
        parameters[0]["example"] = model
    if not operation.has_body:
        del components[name]
        return {"parameters": parameters}
    for field in in_path:
        del fields[field]
        components[name]["required"].remove(field)
    shown = {"examples": {title: {"value": body} for title, body in bodies.items()}} if bodies else {}
    return {"parameters": parameters, "requestBody": {"required": True, "content": _json(name, **shown)}}


def _is_object(field: Json) -> bool:
    """Returns whether a field has no form that a query could have."""
    return any(schema.get("type") == "object" for schema in field.get("anyOf", [field]))


def _parameter(name: str, place: str, field: Json) -> Json:
    """Returns a parameter made of a field's schema, without null and default: it is given, or it is left out."""
    schema = {**field, **field.get("anyOf", [{}])[0]}
    schema = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    parameter = {"name": name, "in": place, "required": place == "path", "schema": schema}
    parameter["description"] = schema.pop("description")
    if "examples" in schema:
        parameter["example"] = schema.pop("examples")[0]
    return parameter


def _examples(models: SeenModels) -> dict[str, tuple[str, Json]]:
    """Returns a model's name and bodies that it accepts, by operation."""
    made: dict[str, tuple[str, Json]] = {}
    for version in available(models)[:1]:
        asked = ("getModel", "getDrift", "getRollout", "getShadow", "getCard", "getPlot", "deleteLabel")
        made |= dict.fromkeys(asked, (version.name, {}))
        number = version.version
        made["setLabel"] = (version.name, {"version": {"version": number}, "weights": {"weights": {str(number): 100}}})
    if (classifier := first_of(models, ImageClassifier)) is not None:
        made["classify"] = (classifier[0], examples.images(classifier[1]))
    if (forecaster := first_of(models, Forecaster)) is not None:
        made["forecast"] = (forecaster[0], {"series": examples.series(forecaster[1])})
    return made
