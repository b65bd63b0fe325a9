"""Answers of TensorFlow Serving's REST API: outputs and results to JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.codecs.json_tensor import dump_json, encode_base64, jsonable, jsonable_rows
from service.core.tensors import STRING, Tensor, dtype_name
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as serving_pb

_BYTES_SUFFIX = "_bytes"
"""Strings of outputs that are named so are bytes, in base64."""


def rows_json(outputs: Mapping[str, Tensor]) -> bytes:
    """Returns outputs in row format: a value for each row, or an object where there are several outputs.

    Raises:
        GatewayError: WRONG_MODEL_KIND, in upstream's words, when an output has no rows or not as many as the first.
    """
    count = _row_count(outputs)
    if len(outputs) == 1:
        [(name, tensor)] = outputs.items()
        return dump_json({"predictions": _jsonable(name, tensor)})
    columns = {name: _jsonable_rows(name, tensor) for name, tensor in outputs.items()}
    rows = [{name: column[index] for name, column in columns.items()} for index in range(count)]
    return dump_json({"predictions": rows})


def columns_json(outputs: Mapping[str, Tensor]) -> bytes:
    """Returns outputs in column format: the value of the one output, or an object with all of them."""
    columns = {name: _jsonable(name, tensor) for name, tensor in outputs.items()}
    return dump_json({"outputs": next(iter(columns.values())) if len(columns) == 1 else columns})


def _row_count(outputs: Mapping[str, Tensor]) -> int:
    count: int | None = None
    for name, tensor in outputs.items():
        if tensor.ndim == 0:
            raise GatewayError(ErrorKind.WRONG_MODEL_KIND, f"Tensor name: {name} has no shape information ")
        if count is not None and tensor.shape[0] != count:
            text = f"Tensor name: {name} has inconsistent batch size: {tensor.shape[0]} expecting: {count}"
            raise GatewayError(ErrorKind.WRONG_MODEL_KIND, text)
        count = tensor.shape[0]
    return count or 0


def _jsonable(name: str, tensor: Tensor) -> Any:
    return jsonable(tensor) if dtype_name(tensor) != STRING else _texts(name, tensor)


def _jsonable_rows(name: str, tensor: Tensor) -> Sequence[Any]:
    return jsonable_rows(tensor) if dtype_name(tensor) != STRING else _texts(name, tensor)


def _texts(name: str, tensor: Tensor) -> Any:
    as_bytes = name.endswith(_BYTES_SUFFIX)
    texts = np.empty(tensor.size, object)
    texts[:] = [encode_base64(value) if as_bytes else _text(value) for value in tensor.ravel()]
    return texts.reshape(tensor.shape).tolist()


def _text(value: bytes) -> Any:
    """Returns a string; what is no UTF-8 cannot be one in JSON, and becomes base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return encode_base64(value)


def classifications_json(result: serving_pb.ClassificationResult) -> bytes:
    """Returns a list of [label, score] for each example."""
    rows = [
        [[entry.label, _float(entry.score)] for entry in classifications.classes]
        for classifications in result.classifications
    ]
    return dump_json({"results": rows})


def regressions_json(result: serving_pb.RegressionResult) -> bytes:
    """Returns a value for each example."""
    return dump_json({"results": [_float(regression.value) for regression in result.regressions]})


def _float(value: float) -> Any:
    number = np.float32(value)
    return number if math.isfinite(value) else jsonable(np.array(number))
