"""The schemas of TensorFlow Serving's bodies."""

from typing import Any

from service.core.bounds import InputBounds
from service.core.catalog import State

Json = dict[str, Any]

PREFIX = "TfServing"
ERROR = f"{PREFIX}Error"

_TEXT: Json = {"type": "string"}
_WHOLE_NUMBER: Json = {"type": "string", "pattern": "^-?[0-9]+$", "description": "64 bits, as text."}


def schemas(bounds: InputBounds) -> Json:
    """Returns all of them by name, which `PREFIX` precedes."""
    name = {"type": "string", "maxLength": bounds.max_name_length}
    made = {
        "Bytes": _bytes(),
        "Value": _value(),
        "PredictRequest": _predict_request(name),
        "PredictResponse": _predict_response(),
        "Example": _example(),
        "ClassifyRequest": _labelled_request(name),
        "ClassifyResponse": _results(_classes()),
        "RegressRequest": _labelled_request(name),
        "RegressResponse": _results({"$ref": _ref("Float")}),
        "Float": _float(),
        "StatusResponse": _status(),
        "MetadataResponse": _metadata(),
        "TensorInfos": {"type": "object", "additionalProperties": _tensor_info()},
        "Error": _error(),
    }
    return {PREFIX + short: schema for short, schema in made.items()}


def _ref(short: str) -> str:
    return f"#/components/schemas/{PREFIX}{short}"


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties, "additionalProperties": False}


def _bytes() -> Json:
    description = "Bytes in base64, in place of a string."
    return {**_object(b64={"type": "string", "contentEncoding": "base64"}), "description": description}


def _value() -> Json:
    return {
        "description": "A tensor: lists of equal lengths within each other, or the one value of a scalar.",
        "anyOf": [
            {"type": ["number", "string", "boolean"]},
            {"$ref": _ref("Bytes")},
            {"type": "array", "items": {"$ref": _ref("Value")}},
        ],
    }


def _value_or_object() -> Json:
    """Returns the schema of a tensor, or of tensors by name."""
    value = {"$ref": _ref("Value")}
    return {"anyOf": [value, {"type": "object", "additionalProperties": value}]}


def _predict_request(name: Json) -> Json:
    return {
        "type": "object",
        "description": "Either rows or columns; what else there is is ignored.",
        "properties": {
            "signature_name": {**name, "description": "The signature to run; serving_default where there is none."},
            "instances": {
                "type": "array",
                "minItems": 1,
                "items": _value_or_object(),
                "description": "Rows: each a value of the only input, or an object of values by input.",
            },
            "inputs": {
                **_value_or_object(),
                "description": "Columns: the value of the only input, or an object of values by input.",
            },
        },
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    }


def _predict_response() -> Json:
    predictions = {
        "type": "array",
        "items": _value_or_object(),
        "description": "A row for each of the request: a value, or an object of values by output if there are several.",
    }
    outputs = {**_value_or_object(), "description": "The value of the only output, or an object of values by output."}
    return {"oneOf": [_object(predictions=predictions), _object(outputs=outputs)]}


def _example() -> Json:
    texts = {"anyOf": [_TEXT, {"$ref": _ref("Bytes")}]}
    return {
        "type": "object",
        "description": "A tf.Example: values, or lists of values of one type, by feature.",
        "additionalProperties": {
            "anyOf": [
                {"type": ["number", "boolean"]},
                texts,
                {"type": "array", "items": {"type": ["number", "boolean"]}},
                {"type": "array", "items": texts},
            ]
        },
    }


def _labelled_request(name: Json) -> Json:
    example = {"$ref": _ref("Example")}
    return {
        "type": "object",
        "description": "What else there is is ignored.",
        "required": ["examples"],
        "properties": {
            "signature_name": {**name, "description": "The signature to run; serving_default where there is none."},
            "context": {**example, "description": "Features of every example that has none of that name."},
            "examples": {"type": "array", "minItems": 1, "items": example},
        },
    }


def _results(item: Json) -> Json:
    return _object(results={"type": "array", "items": item, "description": "One for each example."})


def _classes() -> Json:
    entry = {
        "type": "array",
        "prefixItems": [{"type": "string", "description": "Label."}, {"$ref": _ref("Float")}],
        "minItems": 2,
        "maxItems": 2,
    }
    return {"type": "array", "items": entry}


def _float() -> Json:
    return {"type": "number", "description": "What is not finite is a bare NaN, Infinity or -Infinity."}


def _status() -> Json:
    version = _object(
        version=_WHOLE_NUMBER,
        state={"type": "string", "enum": [state.value for state in State]},
        status=_object(error_code={"type": "string", "enum": ["OK", "UNKNOWN"]}, error_message=_TEXT),
    )
    versions = {"type": "array", "items": version, "description": "The newest first."}
    return _object(model_version_status=versions)


def _metadata() -> Json:
    signature = {
        "type": "object",
        "required": ["inputs", "outputs", "method_name", "defaults"],
        "properties": {
            "inputs": {"$ref": _ref("TensorInfos")},
            "outputs": {"$ref": _ref("TensorInfos")},
            "method_name": _TEXT,
            "defaults": {"type": "object", "maxProperties": 0},
        },
        "additionalProperties": False,
    }
    signatures = _object(signature_def={"type": "object", "additionalProperties": signature})
    return _object(
        model_spec=_object(name=_TEXT, signature_name=_TEXT, version=_WHOLE_NUMBER),
        metadata=_object(signature_def=signatures),
    )


def _tensor_info() -> Json:
    size = {**_WHOLE_NUMBER, "description": "-1 is any size."}
    shape = _object(
        dim={"type": "array", "items": _object(size=size, name=_TEXT)},
        unknown_rank={"type": "boolean"},
    )
    return _object(dtype={"type": "string", "pattern": "^DT_"}, tensor_shape=shape, name=_TEXT)


def _error() -> Json:
    return {
        **_object(
            error={"type": "string", "description": "In TensorFlow Serving's words."},
            code={"$ref": "#/components/schemas/ErrorCode"},
            details={"type": "array", "items": {"$ref": "#/components/schemas/Violation"}},
            request_id=_TEXT,
        ),
        "description": "What went wrong; error is the protocol's, the rest ours.",
    }
