"""Tensors of the Open Inference Protocol in JSON: flat or nested ``data``, and strings as text or base64."""

from base64 import b64encode
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from service.codecs.json_arrays import NumericArray, as_lists
from service.codecs.json_lists import Leaves, flattened
from service.codecs.json_tensor import decode_base64, decode_json_tensor, jsonable
from service.core.bounds import InputBounds
from service.core.tensors import STRING, Tensor
from service.errors import Violation, invalid_input, shown

CONTENT_TYPE = "content_type"
"""The parameter that says how strings are written."""
BASE64 = "base64"

_TEXTS = Leaves({str}, "a base64 string")


def decode_data(
    data: Any, dtype: str, shape: Sequence[int], *, is_base64: bool, bounds: InputBounds, where: str
) -> Tensor:
    """Returns the tensor.

    Args:
        data: A list of as many elements as the shape says, flat in row-major order or nested as the shape says; of a
            tensor without dimensions the value alone will do.
        dtype: TensorFlow's name of the dtype.
        shape: Of the tensor; one that was found to be within bounds.
        is_base64: Whether strings are base64, rather than text.
        bounds: Of the list's depth and size.
        where: Path of the data, for errors.

    Raises:
        GatewayError: INVALID_INPUT that names the first element that is not as it should be, or TOO_LARGE.
    """
    if not isinstance(data, (list, NumericArray)):
        if shape:
            raise invalid_input(Violation(where, "a list", shown(data)))
        data = [data]  # a tensor without dimensions may come as the value that it is
    if dtype == STRING and is_base64:
        tensor = _decode_base64(as_lists(data), bounds, where)
    else:
        tensor = decode_json_tensor(data, dtype, bounds=bounds, where=where)
    count = prod(shape)
    if tensor.size != count:
        raise invalid_input(Violation(where, f"{count} elements, as the shape says", str(tensor.size)))
    if tensor.ndim > 1 and tensor.shape != tuple(shape):
        expected = f"a flat list, or lists of the shape {list(shape)}"
        raise invalid_input(Violation(where, expected, f"lists of the shape {list(tensor.shape)}"))
    return tensor.reshape(shape)


def encode_data(tensor: Tensor) -> tuple[Any, bool]:
    """Returns the elements as a flat list for `dump_json`, and whether they are base64.

    Strings are text if all of them are UTF-8, else base64.

    Raises:
        GatewayError: NOT_SUPPORTED for complex numbers.
    """
    flat = tensor.reshape(-1)
    if tensor.dtype.kind != "O":
        return jsonable(flat), False
    values = flat.tolist()
    try:
        return [value.decode() for value in values], False
    except UnicodeDecodeError:
        return [b64encode(value).decode() for value in values], True


def _decode_base64(data: list[Any], bounds: InputBounds, where: str) -> Tensor:
    texts, shape = flattened(data, _TEXTS, max_depth=bounds.max_json_depth, where=where)
    bounds.check_shape(shape, where=where)
    values = np.empty(len(texts), object)
    values[:] = [decode_base64(text, where=f"{where}, element {index}") for index, text in enumerate(texts)]
    return values.reshape(shape)
