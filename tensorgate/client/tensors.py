"""Arrays and the raw bytes of the Open Inference Protocol.

Raw numbers are little-endian and row-major. A raw string is its length, 4 bytes little-endian, and then its bytes.
"""

import struct
import sys
from typing import Any

import numpy as np

from tensorgate.client.errors import ServerError, invalid
from tensorgate.client.metadata import TensorSpec
from tensorgate.client.packed import Array

STRING, BFLOAT16 = "string", "bfloat16"

_DATATYPES = {
    np.dtype("bool"): "BOOL",
    **{np.dtype(f"{kind}{bits}"): f"{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{np.dtype(f"float{bits}"): f"FP{bits}" for bits in (16, 32, 64)},
}
_WIRE = {datatype: dtype.newbyteorder("<") for dtype, datatype in _DATATYPES.items()} | {"BF16": np.dtype("<u2")}
_AS_THEY_LIE = frozenset(_DATATYPES.values() if sys.byteorder == "little" else ())
"""Whose bytes are the same on the wire and in memory."""
_NUMPY = {str(dtype): dtype for dtype in _DATATYPES}
"""By TensorFlow's name. numpy builds the name of a dtype at each access, which costs more than all else here."""
_LENGTH = struct.Struct("<I")
_NUMBERS = "biufc"


def array_of(value: Any, spec: TensorSpec | None, where: str) -> Array:
    """Returns the array that is sent, in the dtype that the model takes where that loses no more than precision.

    Args:
        value: An array, or whatever numpy makes one of.
        spec: What the model takes; ``None`` leaves it as it is.
        where: Name of the input, for errors.

    Raises:
        InvalidInput: When it is no array, or of another kind than the model takes.
    """
    wanted = None if spec is None else spec.dtype
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value, object if wanted == STRING else None)
    except ValueError as error:
        raise invalid(where, str(spec or "an array"), str(error)) from error
    if wanted is not None and array.dtype == _NUMPY.get(wanted):
        return array
    if array.dtype.kind in "OSU":
        array = _strings(array, where)
    if wanted is None or array.dtype.name == wanted or (wanted == STRING and array.dtype.kind == "O"):
        return array
    if wanted == BFLOAT16 and array.dtype.kind in "iuf":
        return array.astype(np.float32)  # which `encode` rounds
    try:
        return _cast(array, np.dtype(wanted))
    except (TypeError, OverflowError):
        raise invalid(where, str(spec), f"{_name(array)} {list(array.shape)}{_range(array, wanted)}") from None


def encode(array: Array, dtype: str, where: str) -> tuple[str, bytes]:
    """Returns the protocol's name of the datatype, and the bytes.

    Args:
        array: The tensor.
        dtype: That the model takes, by TensorFlow's name; empty where it is not known.
        where: Name of the input, for errors.

    Raises:
        InvalidInput: When the protocol has no such datatype.
    """
    datatype = _DATATYPES.get(array.dtype)
    if datatype is not None and dtype != BFLOAT16:
        return datatype, _little_endian(array).tobytes()
    if array.dtype.kind == "O":
        return "BYTES", b"".join(part for value in array.ravel().tolist() for part in (_LENGTH.pack(len(value)), value))
    if array.dtype.name == BFLOAT16:
        return "BF16", array.tobytes()
    if dtype == BFLOAT16:
        return "BF16", _rounded(array).tobytes()
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype not in _DATATYPES:
        raise invalid(where, "a dtype that the Open Inference Protocol has", str(array.dtype))
    return _DATATYPES[native.dtype], _little_endian(native).tobytes()


def decode(datatype: str, shape: tuple[int, ...], data: bytes, where: str) -> Array:
    """Returns a tensor: numbers in an array of their own, strings as ``bytes``, bfloat16 as the same float32.

    Raises:
        ServerError: When the bytes are not what datatype and shape say.
    """
    wire = _WIRE.get(datatype)
    try:
        if wire is not None:
            numbers = np.frombuffer(bytearray(data), wire).reshape(shape)  # of a bytearray, it can be written to
            return numbers if datatype in _AS_THEY_LIE else _native(numbers, datatype)
        if datatype == "BYTES":
            found = _split(data, where)
            strings = np.empty(len(found), object)
            strings[:] = found
            return strings.reshape(shape)
    except ValueError:  # of another size than the shape
        pass
    raise ServerError("backend_failed", f"{where}: {len(data)} bytes are no {datatype} {list(shape)}")


def _native(numbers: Array, datatype: str) -> Array:
    """Returns numbers of the wire as this machine has them; bfloat16, which numpy lacks, as float32."""
    if datatype == "BF16":
        return (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers.astype(numbers.dtype.newbyteorder("="))


def _strings(array: Array, where: str) -> Array:
    """Returns an array of ``bytes``."""
    found = np.empty(array.size, object)
    for index, value in enumerate(array.ravel().tolist()):
        data = value.encode() if isinstance(value, str) else value
        if not isinstance(data, bytes):
            raise invalid(where, "numbers or strings, in rows of equal length", f"{type(value).__name__} {value!r:.40}")
        found[index] = data
    return found.reshape(array.shape)


def _cast(array: Array, dtype: np.dtype[Any]) -> Array:
    """Returns the same numbers in another dtype.

    Raises:
        TypeError: When they are of another kind.
        OverflowError: When one is outside of what the dtype has.
    """
    if dtype.kind in "iu" and array.dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if array.size and (int(array.min()) < bounds.min or int(array.max()) > bounds.max):
            raise OverflowError
        return array.astype(dtype)
    if array.dtype.kind not in _NUMBERS or (array.dtype.kind == "b") != (dtype.kind == "b"):
        raise TypeError
    with np.errstate(over="ignore"):
        cast = array.astype(dtype, casting="same_kind")
    if dtype.kind == "f" and not np.array_equal(np.isinf(cast), np.isinf(array)):
        raise OverflowError
    return cast


def _range(array: Array, wanted: str) -> str:
    both = array.dtype.kind in "iuf" and np.dtype(wanted).kind in "iuf" and array.size
    return f" from {array.min()} to {array.max()}" if both else ""


def _name(array: Array) -> str:
    return STRING if array.dtype.kind == "O" else array.dtype.name


def _rounded(array: Array) -> Array:
    """Returns the upper halves of float32s, rounded to the nearest, to even ones between two."""
    numbers = np.ascontiguousarray(array, np.float32)
    bits = numbers.view(np.uint32)
    halves = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(numbers), np.uint16(0x7FC0), halves).reshape(array.shape)


def _little_endian(array: Array) -> Array:
    return array if sys.byteorder == "little" else array.byteswap()


def _split(data: bytes, where: str) -> list[bytes]:
    strings, position = [], 0
    while position < len(data):
        if position + _LENGTH.size > len(data):
            raise ServerError("backend_failed", f"{where}: strings that end too early")
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        strings.append(data[position : position + length])
        position += length
    return strings
