"""The typed API's part of the OpenAPI document."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import schemas
from service.codecs.samples import available, first_of
from service.core.bounds import InputBounds
from service.core.catalog import Catalog, ModelVersion
from service.core.tasks import Forecaster, ImageClassifier
from service.protocols.native import examples
from service.protocols.native.rest import FORM, IMAGES, LABEL, PREFIX
from service.seam.http import JSON

Json = dict[str, Any]

TAG = "Typed API"

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
_LABEL_PATTERN = r"^(?!\d+$)[^/:\x00-\x1f\x7f-\x9f]+$"


def fragment(catalog: Catalog, bounds: InputBounds, errors: Json) -> Json:
    """Returns ``tags``, ``paths`` and ``components``, with examples for the models that are available.

    Args:
        catalog: The models that there are.
        bounds: Of names.
        errors: The responses of every operation that tell of errors, by status.
    """
    _, definitions = models_json_schema([(schema, "validation") for schema in _SCHEMAS], ref_template=_REF + "{model}")
    components = definitions["$defs"]
    for name, fields in _ELSEWHERE.items():
        components[name]["required"] = [field for field in components[name]["required"] if field not in fields]
        for field in fields:
            del components[name]["properties"][field]
    description = "This server's own API, the same over gRPC as tensorgate.v1.TensorgateService: images and series in."
    return {
        "tags": [{"name": TAG, "description": description}],
        "paths": _Paths(catalog, bounds, errors).paths(),
        "components": {"schemas": components},
    }


class _Paths:
    """The operations, made for the models of a catalog."""

    def __init__(self, catalog: Catalog, bounds: InputBounds, errors: Json) -> None:
        self._any = next(iter(available(catalog)), None)
        self._classifier = first_of(catalog, ImageClassifier)
        self._forecaster = first_of(catalog, Forecaster)
        self._errors = errors
        self._name: Json = {"type": "string", "minLength": 1, "maxLength": bounds.max_name_length}

    def paths(self) -> Json:
        """Returns all of them."""
        return {
            PREFIX: {"get": self._list_models()},
            PREFIX + "/{model}": {"get": self._get_model()},
            PREFIX + "/{model}/classify": {"post": self._classify()},
            PREFIX + "/{model}/forecast": {"post": self._forecast()},
            LABEL: {"put": self._set_label(), "delete": self._delete_label()},
        }

    def _operation(self, name: str, summary: str, answer: str, **members: Any) -> Json:
        content = {JSON: {"schema": {"$ref": _REF + answer}}}
        return {
            "operationId": name,
            "tags": [TAG],
            "summary": summary,
            **members,
            "responses": {"200": {"description": "The answer.", "content": content}, **self._errors},
        }

    def _list_models(self) -> Json:
        return self._operation("listModels", "Every model that the server knows", "ListModelsResponse")

    def _get_model(self) -> Json:
        return self._operation(
            "getModel",
            "One model: its versions, their states, what they take and give",
            "ModelInfo",
            parameters=[self._model(self._any), *self._version()],
        )

    def _classify(self) -> Json:
        content: Json = {
            JSON: {"schema": {"$ref": _REF + "ClassifyRequest"}},
            **{media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in IMAGES},
            FORM: {"schema": _files()},
        }
        if self._classifier is not None and isinstance(task := self._classifier.task, ImageClassifier):
            shown = {"pixels": {"summary": "Pixels", "value": examples.pixel_images(task)}}
            if task.accepts_encoded:
                file = {"summary": "An image file in base64", "value": examples.encoded_images(task)}
                shown = {"encoded": file, **shown}
            content[JSON]["examples"] = shown
        top_k = {
            "name": "top_k",
            "in": "query",
            "description": "How many classes to return for each image; here or in the body.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "default": schemas.DEFAULT_TOP_K},
        }
        return self._operation(
            "classify",
            "Classify images",
            "ClassifyResponse",
            description="Images as JSON (files in base64, or pixels), one image file as body, or a form with files.",
            parameters=[self._model(self._classifier), *self._version(), top_k],
            requestBody={"required": True, "content": content},
        )

    def _forecast(self) -> Json:
        content: Json = {JSON: {"schema": {"$ref": _REF + "ForecastRequest"}}}
        if self._forecaster is not None and isinstance(task := self._forecaster.task, Forecaster):
            content[JSON]["examples"] = {"series": {"summary": "One series", "value": examples.series(task)}}
        return self._operation(
            "forecast",
            "Forecast series",
            "ForecastResponse",
            description="Each series at least as long as the model's window, the newest values last.",
            parameters=[self._model(self._forecaster), *self._version()],
            requestBody={"required": True, "content": content},
        )

    def _set_label(self) -> Json:
        version = 1 if self._any is None else self._any.version
        example = {"version": {"summary": "A version", "value": {"version": version}}}
        content = {JSON: {"schema": {"$ref": _REF + "SetLabelRequest"}, "examples": example}}
        return self._operation(
            "setLabel",
            "Put a label on a version, in place of the one that has it",
            "ModelInfo",
            description="Requests that name the label are answered by that version, which must be available.",
            parameters=[self._model(self._any), self._label()],
            requestBody={"required": True, "content": content},
        )

    def _delete_label(self) -> Json:
        parameters = [self._model(self._any), self._label()]
        return self._operation("deleteLabel", "Take a label away", "ModelInfo", parameters=parameters)

    def _model(self, example: ModelVersion | None) -> Json:
        parameter = {
            "name": "model",
            "in": "path",
            "required": True,
            "description": "Name of the model.",
            "schema": self._name,
        }
        return parameter if example is None else {**parameter, "example": example.name}

    def _version(self) -> list[Json]:
        return [
            {
                "name": "version",
                "in": "query",
                "description": "Version of the model; by default the newest available.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
            },
            {
                "name": "label",
                "in": "query",
                "description": "Label of the version, in place of its number.",
                "schema": self._name,
            },
        ]

    def _label(self) -> Json:
        return {
            "name": "label",
            "in": "path",
            "required": True,
            "description": "One character or more; no slash, no colon, no bare number.",
            "schema": {**self._name, "pattern": _LABEL_PATTERN},
            "example": "stable",
        }


def _files() -> Json:
    file = {"type": "string", "format": "binary"}
    return {
        "type": "object",
        "description": "Files in parts of any name; the other fields as the query has them.",
        "required": ["file"],
        "properties": {"file": {"type": "array", "minItems": 1, "items": file}},
    }
