"""Numbers on the wire of Protocol Buffers, as the bytes that they are there.

A packed field is its tag, its length in bytes, and the numbers one after the other, the lowest byte first
(https://protobuf.dev/programming-guides/encoding/#packed). An array has them in memory just so: reading and writing
these bytes costs a tiny part of what a Python object for each number does.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message

from service.core.tensors import Tensor

_CHUNK = 65_536
_VARINT, _LENGTH_DELIMITED, _FIXED64, _FIXED32 = 0, 2, 1, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_WIRE_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("float32", "float64")}
_SAME_BYTES = {"b1": "<b1", "f4": "<f4", "f8": "<f8", "c8": "<c8", "c16": "<c16"}


def is_packable(tensor: Tensor) -> bool:
    """Returns whether the tensor's numbers have the same bytes in a packed field as in memory.

    Floats and complex numbers have, and booleans; integers are varints there.
    """
    return tensor.dtype.str[1:] in _SAME_BYTES


def append_packed(message: Message, field: str, tensor: Tensor) -> None:
    """Appends all numbers of a tensor to a repeated field of floats or booleans; of complex ones, both parts.

    Args:
        message: Has the field.
        field: Its name.
        tensor: `is_packable`, of any shape, with numbers as wide as the field's.
    """
    data = tensor.astype(_SAME_BYTES[tensor.dtype.str[1:]], copy=False).tobytes()
    if data:
        number = message.DESCRIPTOR.fields_by_name[field].number
        message.MergeFromString(field_head(number, len(data)) + data)


def read_packed(message: Message, field: str, dtype: str) -> Tensor:
    """Returns all numbers of a packed field of ``float`` or ``double``, however they came, in an array of their own.

    Args:
        message: Has the field. It is serialized once, and so should hold little else.
        field: Its name.
        dtype: The field's, ``float32`` or ``float64``.
    """
    words = _WIRE_DTYPES[dtype]
    size = len(getattr(message, field)) * words.itemsize
    number = message.DESCRIPTOR.fields_by_name[field].number
    if not size:
        return np.empty(0, dtype)
    data = message.SerializeToString()  # in which the field is in one piece, however it came
    start = next(start for found, start, end in _delimited_fields(data) if found == number and end - start == size)
    return np.frombuffer(data, words, size // words.itemsize, start).astype(dtype)


def read_numbers(values: Sequence[float], dtype: "np.dtype[Any] | str") -> Tensor:
    """Returns all numbers of a repeated field, one by one; between some of them other threads get their turn.

    Args:
        values: The field.
        dtype: Can hold them.
    """
    if len(values) <= _CHUNK:
        return np.array(values, dtype)
    numbers = np.empty(len(values), dtype)
    for start in range(0, len(values), _CHUNK):
        numbers[start : start + _CHUNK] = np.array(values[start : start + _CHUNK], dtype)
    return numbers


def field_head(number: int, length: int) -> bytes:
    """Returns what stands before the bytes of a length-delimited field: its tag, and how many bytes follow."""
    head = bytearray()
    for value in (number << 3 | _LENGTH_DELIMITED, length):
        rest = value
        while rest > 0x7F:  # seven bits a byte, the lowest first
            head.append(rest & 0x7F | 0x80)
            rest >>= 7
        head.append(rest)
    return bytes(head)


def _delimited_fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the number of each length-delimited field of a well-formed message, and where its bytes begin and end."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            length, position = _read_varint(data, position)
            yield tag >> 3, position, position + length
            position += length
        elif kind == _VARINT:
            _, position = _read_varint(data, position)
        else:
            position += _FIXED_SIZES.get(kind, 0)  # none is a tag that begins or ends a group of fields


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # its last byte
            return value, position
        shift += 7
