"""Many numbers in a message, written as the bytes that they are there.

A packed field is its tag, its length in bytes, and the numbers one after the other, the lowest byte first
(https://protobuf.dev/programming-guides/encoding/#packed). An object of Python for each number costs many times that.
"""

from typing import Any

import numpy as np
from google.protobuf.message import Message

Array = np.ndarray[Any, np.dtype[Any]]

_LENGTH_DELIMITED = 2


def append_packed(message: Message, field: str, values: Array, dtype: str) -> None:
    """Appends all values of an array to a repeated field of floats.

    Args:
        message: Has the field.
        field: Its name; its number is below 16.
        values: Of any shape.
        dtype: The field's: ``<f4`` for float, ``<f8`` for double.
    """
    data = values.astype(dtype, copy=False).tobytes()
    tag = message.DESCRIPTOR.fields_by_name[field].number << 3 | _LENGTH_DELIMITED
    message.MergeFromString(bytes([tag]) + _varint(len(data)) + data)


def _varint(value: int) -> bytes:
    """Returns a number as it is written there: seven bits a byte, the lowest first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
