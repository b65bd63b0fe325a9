"""The typed API's part of the OpenAPI document."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import schemas
from service.core.catalog import Catalog, State
from service.core.tasks import Forecaster, ImageClassifier
from service.protocols.native import examples
from service.protocols.native.rest import FORM, IMAGES, JSON, LABEL, PREFIX

Json = dict[str, Any]

_SCHEMAS: list[type[BaseModel]] = [
    schemas.ClassifyRequest,
    schemas.ClassifyResponse,
    schemas.ForecastRequest,
    schemas.ForecastResponse,
    schemas.ListModelsResponse,
    schemas.ModelInfo,
    schemas.SetLabelRequest,
]
_REF = "#/components/schemas/"
_ELSEWHERE = {
    "ClassifyRequest": ("model", "version", "label"),
    "ForecastRequest": ("model", "version", "label"),
    "SetLabelRequest": ("model", "label"),
}
"""Fields of a request that REST has in the path and the query."""


def fragment(catalog: Catalog, problem_responses: Json) -> Json:
    """Returns ``paths`` and ``components`` of the typed API, with examples for the models that are available.

    Args:
        catalog: The models that there are.
        problem_responses: The responses of every operation that tell of errors, by status.
    """
    _, definitions = models_json_schema([(schema, "validation") for schema in _SCHEMAS], ref_template=_REF + "{model}")
    components = definitions["$defs"]
    for name, fields in _ELSEWHERE.items():
        components[name]["required"] = [field for field in components[name]["required"] if field not in fields]
        for field in fields:
            del components[name]["properties"][field]
    classifier = _first(catalog, ImageClassifier)
    forecaster = _first(catalog, Forecaster)
    paths = {
        PREFIX: {"get": _list_models(problem_responses)},
        PREFIX + "/{model}": {"get": _get_model(classifier[0] if classifier else "digits", problem_responses)},
        PREFIX + "/{model}/classify": {"post": _classify(classifier, problem_responses)},
        PREFIX + "/{model}/forecast": {"post": _forecast(forecaster, problem_responses)},
        LABEL: _labels(*_first_version(catalog), problem_responses),
    }
    return {"paths": paths, "components": {"schemas": components}}


def _first(catalog: Catalog, task: type[Any]) -> tuple[str, Any] | None:
    """Returns name and task of the first model that has an available version of this kind."""
    for name in catalog.names():
        for version in catalog.versions(name):
            if version.state is State.AVAILABLE and isinstance(version.task, task):
                return name, version.task
    return None


def _first_version(catalog: Catalog) -> tuple[str, int]:
    """Returns name and number of the first version that is available."""
    for name in catalog.names():
        for version in catalog.versions(name):
            if version.state is State.AVAILABLE:
                return name, version.version
    return "digits", 1


def _list_models(problems: Json) -> Json:
    return {
        "operationId": "listModels",
        "tags": ["models"],
        "summary": "Every model that the server knows",
        "responses": {"200": _answer("ListModelsResponse"), **problems},
    }


def _get_model(name: str, problems: Json) -> Json:
    return {
        "operationId": "getModel",
        "tags": ["models"],
        "summary": "One model: its versions, their states, what they take and give",
        "parameters": [_model_parameter(name), *_version_parameters()],
        "responses": {"200": _answer("ModelInfo"), **problems},
    }


def _classify(model: tuple[str, ImageClassifier] | None, problems: Json) -> Json:
    name, task = model or ("digits", None)
    top_k = {
        "name": "top_k",
        "in": "query",
        "description": "How many classes to return for each image; here or in the body.",
        "schema": {"type": "integer", "minimum": 1, "default": schemas.DEFAULT_TOP_K},
    }
    files = {
        "type": "object",
        "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    }
    content: Json = {
        JSON: {"schema": {"$ref": _REF + "ClassifyRequest"}},
        **{media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in IMAGES},
        FORM: {"schema": files},
    }
    if task is not None:
        content[JSON]["examples"] = {"pixels": {"summary": "Pixels", "value": examples.pixel_images(task)}}
        if task.accepts_encoded:
            content[JSON]["examples"] = {
                "encoded": {"summary": "An image file in base64", "value": examples.encoded_images(task)},
                **content[JSON]["examples"],
            }
    return {
        "operationId": "classify",
        "tags": ["predictions"],
        "summary": "Classify images",
        "description": "Images as JSON (files in base64, or pixels), one image file as the body, or a form with files.",
        "parameters": [_model_parameter(name), *_version_parameters(), top_k, *_headers()],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _answer("ClassifyResponse"), **problems},
    }


def _forecast(model: tuple[str, Forecaster] | None, problems: Json) -> Json:
    name, task = model or ("sunspots", None)
    content: Json = {JSON: {"schema": {"$ref": _REF + "ForecastRequest"}}}
    if task is not None:
        content[JSON]["examples"] = {"series": {"summary": "One series", "value": examples.series(task)}}
    return {
        "operationId": "forecast",
        "tags": ["predictions"],
        "summary": "Forecast series",
        "description": "Each series at least as long as the model's window, the newest values last.",
        "parameters": [_model_parameter(name), *_version_parameters(), *_headers()],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _answer("ForecastResponse"), **problems},
    }


def _labels(model: str, version: int, problems: Json) -> Json:
    label = {
        "name": "label",
        "in": "path",
        "required": True,
        "description": "One character or more; no slash, no colon, no bare number.",
        "schema": {"type": "string", "minLength": 1},
        "example": "stable",
    }
    operation: Json = {
        "tags": ["labels"],
        "parameters": [_model_parameter(model), label],
        "responses": {"200": _answer("ModelInfo"), **problems},
    }
    example = {"version": {"summary": "A version", "value": {"version": version}}}
    content = {JSON: {"schema": {"$ref": _REF + "SetLabelRequest"}, "examples": example}}
    return {
        "put": {
            "operationId": "setLabel",
            "summary": "Put a label on a version, in place of the one that has it",
            "description": "Requests that name the label are answered by that version, which must be available.",
            "requestBody": {"required": True, "content": content},
            **operation,
        },
        "delete": {"operationId": "deleteLabel", "summary": "Take a label away", **operation},
    }


def _model_parameter(example: str) -> Json:
    return {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "Name of the model.",
        "schema": {"type": "string", "minLength": 1},
        "example": example,
    }


def _version_parameters() -> list[Json]:
    return [
        {
            "name": "version",
            "in": "query",
            "description": "Version of the model; by default the newest available.",
            "schema": {"type": "integer", "minimum": 1},
        },
        {
            "name": "label",
            "in": "query",
            "description": "Label of the version, in place of its number.",
            "schema": {"type": "string", "minLength": 1},
        },
    ]


def _headers() -> list[Json]:
    return [
        {
            "name": "X-Request-Id",
            "in": "header",
            "description": "Comes back in the answer and stands in the server's log.",
            "schema": {"type": "string", "maxLength": 128},
        },
        {
            "name": "X-Request-Timeout",
            "in": "header",
            "description": "Seconds after which the answer is no longer wanted.",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        },
    ]


def _answer(schema: str) -> Json:
    return {"description": "The answer.", "content": {JSON: {"schema": {"$ref": _REF + schema}}}}
