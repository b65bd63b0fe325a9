"""TensorFlow Serving's part of the OpenAPI document: its paths, with examples for the models that are served."""

from collections.abc import Mapping
from typing import Any

import orjson

from service.codecs.json_tensor import dump_json, encode_base64, jsonable
from service.codecs.samples import Sample, cycle, first_of, ring_file, smallest_sample
from service.core.bounds import InputBounds
from service.core.catalog import Catalog, ModelVersion
from service.core.tasks import Forecaster, ImageClassifier
from service.core.tensors import STRING, Tensor, dtype_name
from service.protocols.tfserving import openapi_schemas

Json = dict[str, Any]

TAG = "TensorFlow Serving"
ERROR = openapi_schemas.ERROR

_JSON = "application/json"
_MODEL = "/v1/models/{model}"
_CLASSIFY, _REGRESS = "classify_examples", "regress_examples"
"""The signatures of our own exports that take tf.Examples, whose features are known therefore."""
_MAX_VERSION = 2**63 - 1
_STATUS = "Status"


def fragment(catalog: Catalog, bounds: InputBounds, errors: Json) -> Json:
    """Returns ``tags``, ``paths`` and ``components``.

    Args:
        catalog: The models that there are.
        bounds: Of names.
        errors: The responses of every operation that tell of errors, by status.
    """
    return {
        "tags": [{"name": TAG, "description": "TensorFlow Serving's REST API; its clients work unchanged."}],
        "paths": _Paths(catalog, bounds, errors).paths(),
        "components": {"schemas": openapi_schemas.schemas(bounds)},
    }


class _Paths:
    """The operations, made for the models of a catalog."""

    def __init__(self, catalog: Catalog, bounds: InputBounds, errors: Json) -> None:
        self._catalog = catalog
        self._errors = errors
        self._part: Json = {
            "type": "string",
            "minLength": 1,
            "maxLength": bounds.max_name_length,
            "pattern": "^[^/:]+$",
        }

    def paths(self) -> Json:
        """Returns all of them, each without a version, with its number and with its label."""
        sample = smallest_sample(self._catalog)
        classifier = first_of(self._catalog, ImageClassifier, _CLASSIFY)
        forecaster = first_of(self._catalog, Forecaster, _REGRESS)
        found = None if sample is None else sample.version
        made = {}
        for ending, operation in (
            (":predict", self._post("Predict", "Run a signature on tensors", found, _predict_examples(sample))),
            (":classify", self._post("Classify", "Classify tf.Examples", classifier, _classify_examples(classifier))),
            (":regress", self._post("Regress", "Regress tf.Examples", forecaster, _regress_examples(forecaster))),
            ("", self._get(_STATUS, "The states of a model's versions", found)),
            ("/metadata", self._get("Metadata", "The signatures of a model", found)),
        ):
            for middle in ("", "/versions/{version}", "/labels/{label}"):
                made[_MODEL + middle + ending] = {"post" if ending.startswith(":") else "get": operation(middle)}
        return made

    def _post(self, name: str, summary: str, model: ModelVersion | None, examples: Json) -> Any:
        content: Json = {"schema": _ref(f"{name}Request")}
        if examples:
            content["examples"] = examples
        encoding = {
            "name": "Content-Encoding",
            "in": "header",
            "description": "gzip, where the body is compressed so; others are ignored.",
            "schema": {"type": "string"},
        }
        body = {"requestBody": {"required": True, "content": {_JSON: content}}}
        return lambda middle: self._operation(name, summary, middle, model, [encoding]) | body

    def _get(self, name: str, summary: str, model: ModelVersion | None) -> Any:
        return lambda middle: self._operation(name, summary, middle, model, [])

    def _operation(
        self, name: str, summary: str, middle: str, model: ModelVersion | None, parameters: list[Json]
    ) -> Json:
        how = {"/versions/{version}": "OfVersion", "/labels/{label}": "OfLabel"}.get(middle, "")
        content = {_JSON: {"schema": _ref(f"{name}Response")}}
        return {
            "operationId": f"tfserving{name}{how}",
            "tags": [TAG],
            "summary": summary,
            "parameters": [self._model(model), *self._addressed(middle, model, is_status=name == _STATUS), *parameters],
            "responses": {"200": {"description": "The answer.", "content": content}, **self._errors},
        }

    def _model(self, model: ModelVersion | None) -> Json:
        return _path_parameter("model", "Name of the model.", self._part, None if model is None else model.name)

    def _addressed(self, middle: str, model: ModelVersion | None, *, is_status: bool) -> list[Json]:
        if "{version}" in middle:
            schema = {"type": "integer", "minimum": 0, "maximum": _MAX_VERSION}
            example = None if model is None else model.version
            return [_path_parameter("version", "Number of the version.", schema, example)]
        if "{label}" in middle:
            labels = {} if model is None else self._catalog.labels(model.name)
            return [self._label(next(iter(sorted(labels)), None), is_ignored=is_status)]
        return []

    def _label(self, example: str | None, *, is_ignored: bool) -> Json:
        if is_ignored:
            any_label = {key: value for key, value in self._part.items() if key != "maxLength"}
            return _path_parameter("label", "Ignored: all versions are told of.", any_label, example)
        return _path_parameter("label", "Label of the version.", self._part, example)


def _path_parameter(name: str, description: str, schema: Json, example: str | int | None) -> Json:
    parameter = {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
    return parameter if example is None else {**parameter, "example": example}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{openapi_schemas.PREFIX}{name}"}


def _predict_examples(sample: Sample | None) -> Json:
    if sample is None:
        return {}
    columns = {name: _value(tensor) for name, tensor in sample.inputs.items()}
    alone = next(iter(columns.values())) if len(columns) == 1 else None
    examples = {"columns": {"summary": "Columns", "value": {"inputs": columns if alone is None else alone}}}
    if sample.is_by_row:
        examples = {"rows": {"summary": "Rows", "value": {"instances": _rows(columns, alone)}}, **examples}
    return examples


def _rows(columns: Mapping[str, Any], alone: Any) -> list[Any]:
    if alone is not None:
        return list(alone)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _value(tensor: Tensor) -> Any:
    """Returns a tensor as JSON has it: lists of what a parser would make of them."""
    if dtype_name(tensor) == STRING:
        return _decoded(tensor.tolist())
    return orjson.loads(dump_json(jsonable(tensor)))


def _decoded(value: Any) -> Any:
    return [_decoded(element) for element in value] if isinstance(value, list) else value.decode()


def _classify_examples(model: ModelVersion | None) -> Json:
    if model is None or not isinstance(model.task, ImageClassifier):
        return {}
    example = {"image/encoded": encode_base64(ring_file(model.task))}
    return _of_signature(_CLASSIFY, example, "An image file")


def _regress_examples(model: ModelVersion | None) -> Json:
    if model is None or not isinstance(model.task, Forecaster):
        return {}
    steps = cycle(model.task)
    values = steps if model.task.features == 1 else [value for step in steps for value in step]
    return _of_signature(_REGRESS, {"history": [float(value) for value in values]}, "A series")


def _of_signature(name: str, example: Json, summary: str) -> Json:
    return {name: {"summary": summary, "value": {"signature_name": name, "examples": [example]}}}
