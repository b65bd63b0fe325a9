"""The schemas of the Open Inference Protocol's bodies."""

from typing import Any

from service.codecs.open_inference import DTYPES
from service.codecs.open_inference_json import BASE64, CONTENT_TYPE
from service.core.bounds import InputBounds
from service.core.tensors import MAX_RANK
from service.protocols.open_inference.messages import SIGNATURE_NAME, TIMEOUT
from service.protocols.open_inference.rest_request import BINARY_DATA, BINARY_DATA_OUTPUT, BINARY_DATA_SIZE

Json = dict[str, Any]

PREFIX = "OpenInference"
ERROR = f"{PREFIX}Error"

_TEXT: Json = {"type": "string"}
_FLAG: Json = {"type": "boolean"}
_OPTIONAL_FLAG: Json = {"type": ["boolean", "null"]}
_DATATYPE: Json = {"type": "string", "enum": list(DTYPES)}
_SIZE: Json = {"type": "integer", "minimum": 0}


def schemas(bounds: InputBounds) -> Json:
    """Returns all of them by name, which `PREFIX` precedes."""
    name = {"type": "string", "maxLength": bounds.max_name_length}
    made = {
        "ServerMetadata": _exact(name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT}),
        "Live": _exact(live=_FLAG),
        "Ready": _exact(ready=_FLAG),
        "ModelReady": _exact(name=_TEXT, ready=_FLAG),
        "ModelMetadata": _model_metadata(),
        "TensorMetadata": _tensor_metadata(),
        "InferRequest": _infer_request(),
        "InferInput": _input(name),
        "RequestParameters": _request_parameters(name),
        "RequestedOutput": _requested_output(name),
        "Data": _data(),
        "InferResponse": _infer_response(),
        "InferOutput": _output(),
        "IndexRequest": _open(ready={**_OPTIONAL_FLAG, "description": "Whether to leave out what is not ready."}),
        "Index": _index(),
        "ControlRequest": _control_request(),
        "Done": {"type": "object", "maxProperties": 0},
        "Error": _error(),
    }
    return {PREFIX + short: schema for short, schema in made.items()}


def _ref(short: str) -> Json:
    return {"$ref": f"#/components/schemas/{PREFIX}{short}"}


def _exact(**properties: Json) -> Json:
    return {**_open(**properties), "required": list(properties), "additionalProperties": False}


def _open(**properties: Json) -> Json:
    """Returns the schema of an object whose members may be missing; others are ignored."""
    return {"type": "object", "properties": properties}


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def _model_metadata() -> Json:
    tensors = {"type": "array", "items": _ref("TensorMetadata")}
    versions = {"type": "array", "items": {"type": "string", "pattern": "^[0-9]+$"}}
    return _exact(
        name=_TEXT,
        versions={**versions, "description": "Those that are available, the oldest first."},
        platform=_TEXT,
        inputs=tensors,
        outputs=tensors,
    )


def _tensor_metadata() -> Json:
    shape = {"type": "array", "items": {"type": "integer", "minimum": -1}}
    return _exact(name=_TEXT, datatype=_TEXT, shape={**shape, "description": "-1 is any size; [-1] alone any shape."})


def _infer_request() -> Json:
    outputs = {"type": ["array", "null"], "items": _ref("RequestedOutput")}
    return {
        **_open(
            id={"type": ["string", "null"], "description": "Comes back in the answer."},
            parameters=_or_null(_ref("RequestParameters")),
            inputs={"type": "array", "items": _ref("InferInput")},
            outputs={**outputs, "description": "All of them where it is empty or missing."},
        ),
        "required": ["inputs"],
    }


def _request_parameters(name: Json) -> Json:
    parameters: Json = {
        SIGNATURE_NAME: {"anyOf": [name, {"type": "null"}], "description": "The signature to run; ours."},
        TIMEOUT: {"type": ["integer", "null"], "minimum": 0, "description": "Microseconds; 0 for none."},
        BINARY_DATA_OUTPUT: {**_OPTIONAL_FLAG, "description": "Whether outputs are raw by default."},
    }
    return {"description": "Others are ignored.", **_open(**parameters)}


def _shape() -> Json:
    return {"type": "array", "items": _SIZE, "maxItems": MAX_RANK}


def _input(name: Json) -> Json:
    parameters: Json = {
        CONTENT_TYPE: {"type": ["string", "null"], "description": f"{BASE64}, where strings are written so."},
        BINARY_DATA_SIZE: {"type": ["integer", "null"], "minimum": 0, "description": "Bytes of the raw tensor."},
    }
    raw = {
        "type": "object",
        "required": [BINARY_DATA_SIZE],
        "properties": {BINARY_DATA_SIZE: _SIZE},
    }
    return {
        **_open(
            name=name,
            datatype=_DATATYPE,
            shape=_shape(),
            parameters=_or_null({**_open(**parameters), "not": _shared_memory()}),
            data=_or_null(_ref("Data")),
        ),
        "required": ["name", "datatype", "shape"],
        "oneOf": [
            {"required": ["data"], "properties": {"data": _ref("Data")}},
            {"required": ["parameters"], "properties": {"parameters": raw, "data": {"type": "null"}}},
        ],
    }


def _shared_memory() -> Json:
    return {"anyOf": [{"required": [f"shared_memory_{member}"]} for member in ("region", "byte_size", "offset")]}


def _data() -> Json:
    return {
        "description": "The elements, flat or as lists of equal lengths within each other, row by row.",
        "anyOf": [
            {"type": ["number", "string", "boolean"]},
            {"type": "array", "items": _ref("Data")},
        ],
    }


def _requested_output(name: Json) -> Json:
    parameters = _open(**{BINARY_DATA: {**_OPTIONAL_FLAG, "description": "Whether it is to be raw."}})
    refused = {"anyOf": [{"required": ["classification"]}, *_shared_memory()["anyOf"]]}
    return {**_open(name=name, parameters=_or_null({**parameters, "not": refused})), "required": ["name"]}


def _infer_response() -> Json:
    members = _exact(
        model_name=_TEXT,
        model_version={"type": "string", "pattern": "^[0-9]+$"},
        outputs={"type": "array", "items": _ref("InferOutput")},
    )
    return {**members, "properties": {**members["properties"], "id": _TEXT}}


def _output() -> Json:
    members = _exact(name=_TEXT, datatype=_DATATYPE, shape=_shape())
    raw = _exact(**{BINARY_DATA_SIZE: _SIZE})
    encoded = _exact(**{CONTENT_TYPE: {"const": BASE64}})
    flat = {
        "type": "array",
        "items": {"type": ["number", "string", "boolean"]},
        "description": "The elements, row by row; numbers that are not finite are bare tokens.",
    }
    properties = {**members["properties"], "data": flat, "parameters": {"anyOf": [raw, encoded]}}
    return {**members, "properties": properties}


def _index() -> Json:
    states = ["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
    entry = _exact(
        name=_TEXT,
        version={"type": "string", "pattern": "^[0-9]+$"},
        state={"type": "string", "enum": states},
        reason=_TEXT,
    )
    return {"type": "array", "items": entry}


def _control_request() -> Json:
    parameters = {**_open(unload_dependents={}), "additionalProperties": False}
    return _open(parameters=_or_null({**parameters, "description": "None changes anything here."}))


def _error() -> Json:
    return {
        **_exact(
            error={"type": "string", "description": "What is wrong."},
            code={"$ref": "#/components/schemas/ErrorCode"},
            details={"type": "array", "items": {"$ref": "#/components/schemas/Violation"}},
            request_id=_TEXT,
        ),
        "description": "What went wrong; error is the protocol's, the rest ours.",
    }
