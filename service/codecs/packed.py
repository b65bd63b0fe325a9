"""Packed repeated fields of fixed-width numbers, written as the bytes that they are on the wire.

Protocol Buffers writes a packed field as its tag, its length in bytes, and the numbers one after the other, the lowest
byte first (https://protobuf.dev/programming-guides/encoding/#packed). An array has them in memory just so: to have a
message read these bytes fills its field at a tiny part of what a Python object for each number costs.
"""

from google.protobuf.message import Message

from service.core.tensors import Tensor

_LENGTH_DELIMITED = 2
_FIXED_WIDTH = {"f4": "<f4", "f8": "<f8", "c8": "<c8", "c16": "<c16"}


def is_packable(tensor: Tensor) -> bool:
    """Returns whether the tensor's numbers have the same bytes in a packed field as in memory: floats, complex ones."""
    return tensor.dtype.str[1:] in _FIXED_WIDTH


def append_packed(message: Message, field: str, tensor: Tensor) -> None:
    """Appends all numbers of a tensor to a repeated field of ``float`` or ``double``; of complex ones, both parts.

    Args:
        message: Has the field.
        field: Its name.
        tensor: `is_packable`, of any shape, with numbers as wide as the field's.
    """
    data = tensor.astype(_FIXED_WIDTH[tensor.dtype.str[1:]], copy=False).tobytes()
    if data:
        number = message.DESCRIPTOR.fields_by_name[field].number
        message.MergeFromString(_varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data)


def _varint(value: int) -> bytes:
    """Returns a number of 0 or more, seven bits a byte, the least first."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
