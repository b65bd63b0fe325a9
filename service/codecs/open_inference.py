"""Tensors of the Open Inference Protocol: the names of its datatypes, and its raw bytes to numpy arrays and back.

Raw numbers are little-endian and row-major, as they lie in memory on every machine that TensorFlow runs on. A raw
string is its length, 4 bytes little-endian, and then its bytes.
"""

import struct
from collections.abc import Sequence
from math import prod

import numpy as np

from service.codecs.booleans import check_booleans
from service.core.tensors import NUMPY_DTYPES, STRING, Tensor, dtype_name
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

DTYPES = {
    "BOOL": "bool",
    **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    "BF16": "bfloat16",
    "BYTES": STRING,
}
"""TensorFlow's name of the dtype, by the protocol's name of the datatype."""
DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}
"""The protocol's name of the datatype, by TensorFlow's name of the dtype."""

_LENGTH = struct.Struct("<I")


def dtype_of(datatype: str, *, where: str) -> str:
    """Returns TensorFlow's name of the dtype.

    Raises:
        GatewayError: INVALID_INPUT when there is no such datatype.
    """
    if datatype not in DTYPES:
        raise invalid_input(Violation(where, "one of " + ", ".join(DTYPES), shown(datatype)))
    return DTYPES[datatype]


def datatype_of(tensor: Tensor, *, where: str) -> str:
    """Returns the protocol's name of the array's dtype.

    Raises:
        GatewayError: NOT_SUPPORTED for complex numbers.
    """
    dtype = dtype_name(tensor)
    if dtype not in DATATYPES:
        raise GatewayError(ErrorKind.NOT_SUPPORTED, f"{where}: the protocol has no datatype for {dtype}")
    return DATATYPES[dtype]


def decode_raw(data: bytes | memoryview, dtype: str, shape: Sequence[int], *, where: str) -> Tensor:
    """Returns the tensor; numbers are not copied, and so are read-only.

    Args:
        data: Exactly the bytes of the tensor.
        dtype: TensorFlow's name of the dtype.
        shape: Of the tensor; one that was found to be within bounds.
        where: Path of the data, for errors.

    Raises:
        GatewayError: INVALID_INPUT when the data is not what dtype and shape say.
    """
    if dtype == STRING:
        return _decode_strings(memoryview(data), prod(shape), where).reshape(shape)
    target = NUMPY_DTYPES[dtype]
    expected = prod(shape) * target.itemsize
    if len(data) != expected:
        raise invalid_input(Violation(where, f"{expected} bytes, as {dtype} {list(shape)} has", str(len(data))))
    if dtype == "bool":
        check_booleans(data, where=where)
    return np.frombuffer(data, target).reshape(shape)


def encode_raw(tensor: Tensor) -> bytes:
    """Returns the bytes of the tensor; strings are ``bytes`` in it."""
    if tensor.dtype.kind == "O":
        return b"".join(part for value in tensor.ravel().tolist() for part in (_LENGTH.pack(len(value)), value))
    return tensor.tobytes()


def _decode_strings(data: memoryview, count: int, where: str) -> Tensor:
    # Each has a length at least: no more are allocated than the data can hold.
    if count * _LENGTH.size > len(data):
        expected = f"{count} elements of {_LENGTH.size} bytes or more, as the shape says"
        raise invalid_input(Violation(where, expected, f"{len(data)} bytes"))
    values = np.empty(count, object)
    offset = 0
    for index in range(count):
        begin = offset + _LENGTH.size
        if begin > len(data):
            raise _cut_off(where, index, offset, "a length of 4 bytes", len(data) - offset)
        (length,) = _LENGTH.unpack_from(data, offset)
        offset = begin + length
        if offset > len(data):
            raise _cut_off(where, index, begin, f"{length} bytes, as its length says", len(data) - begin)
        values[index] = bytes(data[begin:offset])
    if offset != len(data):
        expected = f"{count} elements, as the shape says"
        raise invalid_input(Violation(where, expected, f"{len(data) - offset} bytes more, from byte {offset} on"))
    return values


def _cut_off(where: str, index: int, offset: int, expected: str, left: int) -> GatewayError:
    return invalid_input(Violation(f"{where}, element {index} at byte {offset}", expected, f"{left} bytes"))
