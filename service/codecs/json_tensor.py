"""Tensors in JSON, as TensorFlow Serving and the Open Inference Protocol write them: nested lists of any dtype."""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from service.codecs.json_arrays import NumericArray, as_lists
from service.codecs.json_lists import Leaves, flattened, narrowed_to
from service.core.bounds import InputBounds
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor, dtype_name
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

_LEAVES = {
    "f": Leaves({int, float}, "a number"),
    "i": Leaves({int}, "an integer"),
    "u": Leaves({int}, "an integer"),
    "b": Leaves({bool}, "true or false"),
    "O": Leaves({str, dict}, "a string"),
}
_TOKENS = np.array([b"NaN", b"Infinity", b"-Infinity"], object)
_BASE64_KEY = "b64"
TEXT_BYTES = 6
"""Of JSON, for each byte of a tensor, at most: of a boolean there are as many. Strings in base64 take fewer."""


def decode_json_tensor(value: Any, dtype: str, *, bounds: InputBounds, where: str) -> Tensor:
    """Returns the values as a tensor of this dtype, in the lists' shape.

    Integers are not made of numbers with a fraction or an exponent, and must lie within the dtype; floats may be any
    number, beyond the dtype's range they become infinite. A string is a string, in UTF-8, or ``{"b64": "..."}``.

    Args:
        value: What a JSON parser made of it, or a `NumericArray`.
        dtype: TensorFlow's name of the dtype.
        bounds: Of its depth and its size.
        where: Path of the value, for errors.

    Raises:
        GatewayError: INVALID_INPUT that names the first element that is not as it should be, NOT_SUPPORTED for complex
            numbers, TOO_LARGE.
    """
    target = NUMPY_DTYPES[dtype]
    leaves = _LEAVES.get(_family(dtype))
    if leaves is None:
        raise GatewayError(ErrorKind.NOT_SUPPORTED, f"{where}: {dtype} has no form in JSON")
    if isinstance(value, NumericArray):
        if value.values.ndim <= bounds.max_json_depth and (tensor := _converted(value.values, dtype)) is not None:
            bounds.check_shape(tensor.shape, where=where)
            return tensor
        value = as_lists(value)
    try:
        values, shape = flattened(value, leaves, max_depth=bounds.max_json_depth, where=where)
    except GatewayError as error:
        if _depth(value) > bounds.max_json_depth:
            raise bounds.too_deep(where) from None
        raise error from None
    bounds.check_shape(shape, where=where)
    if dtype == STRING:
        return _strings(values, where).reshape(shape)
    return _numbers(values, target, where).reshape(shape)


def _family(dtype: str) -> str:
    return "f" if dtype == "bfloat16" else NUMPY_DTYPES[dtype].kind


def _depth(value: Any) -> int:
    """Returns how deep the first element of each list goes."""
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _converted(numbers: Tensor, dtype: str) -> Tensor | None:
    """Returns the numbers in this dtype; ``None`` where one is beyond it, or none of its kind."""
    target = NUMPY_DTYPES[dtype]
    if _family(dtype) == "f":
        return _floats(numbers, target)
    if target.kind not in "iu" or numbers.dtype.kind not in "iu":
        return None
    if numbers.dtype == target:
        return numbers
    limits = np.iinfo(target)
    within = limits.min <= int(numbers.min()) and int(numbers.max()) <= limits.max
    return numbers.astype(target, copy=False) if within else None


def _floats(numbers: Any, target: "np.dtype[Any]") -> Tensor:
    """Returns the numbers as floats: rounded to float64 first, and then to the dtype."""
    return narrowed_to(target, np.asarray(numbers, np.float64))


def _numbers(values: list[Any], target: "np.dtype[Any]", where: str) -> Tensor:
    try:
        if target.kind in "iu":
            # numpy refuses what is out of range, where all its conversions between arrays wrap around.
            return np.array(values, target)
        return np.array(values, bool) if target.kind == "b" else _floats(values, target)
    except OverflowError:
        raise invalid_input(Violation(where, f"numbers within {target.name}", _outside(values, target))) from None


def _outside(values: list[Any], target: "np.dtype[Any]") -> str:
    if target.kind not in "iu":
        return "an integer beyond float64"
    limits = np.iinfo(target)
    return next(shown(value) for value in values if not limits.min <= value <= limits.max)


def _strings(values: list[Any], where: str) -> Tensor:
    array = np.empty(len(values), object)
    array[:] = [value.encode() if isinstance(value, str) else _decoded(value, where) for value in values]
    return array


def is_base64(value: Any) -> bool:
    """Returns whether the value is an object that stands for bytes: ``{"b64": "..."}``."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_BASE64_KEY), str)


def _decoded(value: dict[str, Any], where: str) -> bytes:
    if not is_base64(value):
        raise invalid_input(Violation(where, 'a string, or {"b64": "..."}', "an object"))
    return decode_base64(value[_BASE64_KEY], where=where)


def decode_base64(text: str, *, where: str) -> bytes:
    """Returns the bytes; both alphabets are read, padded or not.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    stripped = text.rstrip("=")
    try:
        padded = stripped + "=" * (-len(stripped) % 4)
        return b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        raise invalid_input(Violation(where, "base64", shown(text))) from None


def encode_base64(data: bytes) -> dict[str, str]:
    """Returns the object that stands for bytes."""
    return {_BASE64_KEY: b64encode(data).decode()}


def jsonable(tensor: Tensor) -> Any:
    """Returns the tensor as something that `dump_json` writes.

    Numbers that are not finite become the bare tokens ``NaN``, ``Infinity`` and ``-Infinity``, as TensorFlow Serving
    and Python's own parser have them. Strings are to be made texts before.

    Raises:
        GatewayError: NOT_SUPPORTED for complex numbers.
    """
    if tensor.dtype.kind == "O":
        return tensor.tolist()
    if dtype_name(tensor) == "bfloat16":
        tensor = tensor.astype(np.float32)
    if tensor.dtype.kind == "c":
        raise GatewayError(ErrorKind.NOT_SUPPORTED, f"{tensor.dtype.name} has no form in JSON")
    if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
        return _with_tokens(tensor)
    return np.ascontiguousarray(tensor) if tensor.ndim else tensor[()]


def jsonable_rows(tensor: Tensor) -> Sequence[Any]:
    """Returns the rows of a tensor [N, ...], each as `jsonable` makes it.

    Raises:
        GatewayError: NOT_SUPPORTED for complex numbers.
    """
    whole = jsonable(tensor)
    return [_with_tokens(row) for row in tensor] if isinstance(whole, orjson.Fragment) else whole


def _with_tokens(tensor: Tensor) -> orjson.Fragment:
    """Returns the text of the numbers. The writer has null for all that is not finite: these become tokens by turns."""
    parts = dump_json(np.ascontiguousarray(tensor) if tensor.ndim else tensor[()]).split(b"null")
    odd = tensor[~np.isfinite(tensor)] if tensor.ndim else np.atleast_1d(tensor)
    tokens = _TOKENS[np.where(np.isnan(odd), 0, np.where(odd > 0, 1, 2))].tolist() if len(parts) > 1 else []
    pieces = [piece for pair in zip(parts, tokens, strict=False) for piece in pair]
    return orjson.Fragment(b"".join([*pieces, parts[-1]]))


def dump_json(value: Any) -> bytes:
    """Returns JSON of values that may hold arrays and what `jsonable` makes."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
