"""The Open Inference Protocol's part of the OpenAPI document, with examples for the models that are served."""

from typing import Any

import orjson

from service.codecs.json_tensor import dump_json
from service.codecs.open_inference import datatype_of
from service.codecs.open_inference_json import encode_data
from service.codecs.samples import Sample, smallest_sample
from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.protocols.open_inference import openapi_schemas
from service.protocols.open_inference.rest import MODEL, PREFIX, REPOSITORY, VERSION
from service.protocols.open_inference.rest_answer import BINARY
from service.protocols.open_inference.rest_request import HEADER_LENGTH
from service.seam.http import JSON

Json = dict[str, Any]

TAG = "Open Inference Protocol"
ERROR = openapi_schemas.ERROR

_LENGTH: Json = {"type": "string", "pattern": "^[0-9]{1,19}$"}
"""Digits alone: no sign, no fraction."""


def fragment(catalog: Catalog, bounds: InputBounds, errors: Json) -> Json:
    """Returns ``tags``, ``paths`` and ``components``.

    Args:
        catalog: The models that there are.
        bounds: Of names and shapes.
        errors: The responses of every operation that tell of errors, by status.
    """
    description = "Version 2 of the protocol, also known as KServe's or Triton's; its clients work unchanged."
    return {
        "tags": [{"name": TAG, "description": description}],
        "paths": _Paths(smallest_sample(catalog), bounds, errors).paths(),
        "components": {"schemas": openapi_schemas.schemas(bounds)},
    }


class _Paths:
    """The operations, with one sample for all examples."""

    def __init__(self, sample: Sample | None, bounds: InputBounds, errors: Json) -> None:
        self._sample = sample
        self._errors = errors
        self._name: Json = {"type": "string", "minLength": 1, "maxLength": bounds.max_name_length}

    def paths(self) -> Json:
        """Returns all of them."""
        return {
            PREFIX: self._get("ServerMetadata", "What the server says of itself", _ref("ServerMetadata")),
            PREFIX + "/health/live": self._get("ServerLive", "Whether the server works", _ref("Live")),
            PREFIX + "/health/ready": self._probe("ServerReady", "Whether every model can answer", "Ready", ""),
            **self._of_versions("", self._metadata),
            **self._of_versions("/ready", self._model_ready),
            **self._of_versions("/infer", self._infer),
            REPOSITORY + "/index": self._post(
                "RepositoryIndex", "Every version of every model", _ref("IndexRequest"), _ref("Index"), []
            ),
            REPOSITORY + "/models/{model}/load": self._control("Load", "Load a model, or look for new versions of it"),
            REPOSITORY + "/models/{model}/unload": self._control("Unload", "Take a model out of service"),
        }

    def _of_versions(self, ending: str, make: Any) -> Json:
        return {MODEL + ending: make(""), VERSION + ending: make("OfVersion")}

    def _metadata(self, how: str) -> Json:
        parameters = self._addressed(how)
        summary = "What a model takes and gives"
        return self._get(f"ModelMetadata{how}", summary, _ref("ModelMetadata"), parameters)

    def _model_ready(self, how: str) -> Json:
        return self._probe(f"ModelReady{how}", "Whether a model can answer", "ModelReady", how)

    def _probe(self, name: str, summary: str, schema: str, how: str) -> Json:
        """Returns an operation that answers with the same body whether something is ready or not."""
        parameters = self._addressed(how) if name.startswith("Model") else []
        made = self._get(name, summary, _ref(schema), parameters)
        not_ready = self._errors["503"]
        bodies = {"anyOf": [_ref(schema), _ref("Error")]}
        answer = {**not_ready, "description": "It is not.", "content": {JSON: {"schema": bodies}}}
        responses = {**made["get"]["responses"], "503": answer}
        return {"get": {**made["get"], "responses": responses}}

    def _infer(self, how: str) -> Json:
        content: Json = {
            JSON: {"schema": _ref("InferRequest")},
            BINARY: {"schema": {"type": "string", "format": "binary"}},
        }
        if self._sample is not None:
            content[JSON]["examples"] = {"tensors": {"summary": "Tensors in JSON", "value": _request(self._sample)}}
        length = {
            "name": HEADER_LENGTH,
            "in": "header",
            "description": "How many bytes of the body are JSON; raw tensors come after it. 0: the body is one tensor.",
            "schema": _LENGTH,
        }
        answer = {
            "description": "The answer, with raw tensors after the JSON where they were asked for.",
            "headers": {HEADER_LENGTH: {"description": "Bytes of JSON, before raw tensors.", "schema": _LENGTH}},
            "content": {JSON: {"schema": _ref("InferResponse")}, BINARY: {"schema": {"format": "binary"}}},
        }
        return {
            "post": {
                **self._operation(f"ModelInfer{how}", "Run a model", [*self._addressed(how), length, _encoding()]),
                "requestBody": {"required": True, "content": content},
                "responses": {"200": answer, **self._errors},
            }
        }

    def _control(self, verb: str, summary: str) -> Json:
        parameters = [self._model()]
        return self._post(f"RepositoryModel{verb}", summary, _ref("ControlRequest"), _ref("Done"), parameters)

    def _get(self, name: str, summary: str, schema: Json, parameters: list[Json] | None = None) -> Json:
        operation = self._operation(name, summary, parameters or [])
        return {"get": {**operation, "responses": {"200": _answer(schema), **self._errors}}}

    def _post(self, name: str, summary: str, request: Json, schema: Json, parameters: list[Json]) -> Json:
        return {
            "post": {
                **self._operation(name, summary, [*parameters, _encoding()]),
                "requestBody": {
                    "content": {JSON: {"schema": request, "examples": {"all": {"summary": "Empty", "value": {}}}}}
                },
                "responses": {"200": _answer(schema), **self._errors},
            }
        }

    def _operation(self, name: str, summary: str, parameters: list[Json]) -> Json:
        return {"operationId": f"openInference{name}", "tags": [TAG], "summary": summary, "parameters": parameters}

    def _addressed(self, how: str) -> list[Json]:
        if not how:
            return [self._model()]
        parameter = {
            "name": "version",
            "in": "path",
            "required": True,
            "description": "Number of the version, or its label.",
            "schema": self._name,
        }
        return [
            self._model(),
            parameter if self._sample is None else {**parameter, "example": str(self._sample.version.version)},
        ]

    def _model(self) -> Json:
        parameter = {
            "name": "model",
            "in": "path",
            "required": True,
            "description": "Name of the model.",
            "schema": self._name,
        }
        return parameter if self._sample is None else {**parameter, "example": self._sample.version.name}


def _encoding() -> Json:
    return {
        "name": "Content-Encoding",
        "in": "header",
        "description": "How the body is compressed.",
        "schema": {"type": "string", "enum": ["gzip", "deflate", "identity"]},
    }


def _answer(schema: Json) -> Json:
    return {"description": "The answer.", "content": {JSON: {"schema": schema}}}


def _ref(short: str) -> Json:
    return {"$ref": f"#/components/schemas/{openapi_schemas.PREFIX}{short}"}


def _request(sample: Sample) -> Json:
    inputs = [
        {
            "name": name,
            "datatype": datatype_of(tensor, where=name),
            "shape": list(tensor.shape),
            "data": orjson.loads(dump_json(encode_data(tensor)[0])),
        }
        for name, tensor in sample.inputs.items()
    ]
    return {"inputs": inputs}
