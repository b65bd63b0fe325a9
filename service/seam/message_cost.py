"""What a message of Protocol Buffers will take once it is parsed, told by its bytes: some take sixty times as much.

Each field is a tag and what follows it (https://protobuf.dev/programming-guides/encoding/). An empty message within a
message is two bytes on the wire and a structure of a hundred in memory; a packed number is one byte and eight. To walk
over the tags costs no memory, and ends where there are more than there may be.
"""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor

_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT = 10
"""Bytes."""
_MORE = 0x80
"""Of a byte of a varint: others follow."""

_STRUCTURE, _POINTER, _STRING, _ELEMENT = 24, 8, 16, 16
"""Bytes of memory: of an empty message's structure, of a field in it, of a string in it, of a place in a list that
grows. Held against what the parser takes by a test."""
_OBJECT = 48
"""Of the object that Python makes of a string in a list; without its text."""

_WIDTHS = {
    FieldDescriptor.CPPTYPE_INT32: 4,
    FieldDescriptor.CPPTYPE_UINT32: 4,
    FieldDescriptor.CPPTYPE_ENUM: 4,
    FieldDescriptor.CPPTYPE_INT64: 8,
    FieldDescriptor.CPPTYPE_UINT64: 8,
    FieldDescriptor.CPPTYPE_BOOL: 1,
}
_FIXED_SIZES = {
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED32,
    FieldDescriptor.TYPE_SFIXED64,
}


class TooManyFieldsError(ValueError):
    """A message has more fields than it may have."""


@dataclass(slots=True)
class _Shape:
    """What a kind of message may hold, by the tags of length-delimited fields.

    Attributes:
        messages: Of the messages in it, the bytes that each takes, and its shape.
        packed: Of its fields of packed varints, the bytes of each number.
        strings: Its lists of strings.
    """

    messages: dict[int, tuple[int, "_Shape"]] = field(default_factory=dict)
    packed: dict[int, int] = field(default_factory=dict)
    strings: set[int] = field(default_factory=set)


def message_cost(message: Descriptor, data: bytes, max_fields: int) -> int:
    """Returns about how many bytes what is parsed of a message takes, beyond its own.

    What is no message is counted until there; whoever parses it finds out.

    Args:
        message: Of what kind it is.
        data: The message.
        max_fields: How many fields it may have, those of the messages in it included.

    Raises:
        TooManyFieldsError: When it has more.
    """
    shape = _shape(message)
    outer: list[tuple[int, _Shape]] = []
    position, end, fields, cost = 0, len(data), 0, 0
    try:
        while True:
            while position >= end:
                if not outer:
                    return cost
                end, shape = outer.pop()
            fields += 1
            if fields > max_fields:
                raise TooManyFieldsError
            tag = data[position]
            position += 1
            if tag >= _MORE:
                tag, position = _varint(data, position - 1)
            if tag & 7 != _LENGTH_DELIMITED:
                position = _after_number(data, position, tag & 7)
                cost += _POINTER
                continue
            length = data[position]
            position += 1
            if length >= _MORE:
                length, position = _varint(data, position - 1)
            if (inner := shape.messages.get(tag)) is not None:
                outer.append((end, shape))
                size, shape = inner
                cost += size
                end = min(position + length, end)
            else:
                cost += _leaf_cost(shape, tag, data, position, length)
                position += length
    except IndexError:
        return cost


def _leaf_cost(shape: _Shape, tag: int, data: bytes, position: int, length: int) -> int:
    width = shape.packed.get(tag)
    if width is None:
        return _STRING + _ELEMENT + _OBJECT if tag in shape.strings else _STRING
    ends = np.frombuffer(memoryview(data)[position : position + length], np.uint8) < _MORE  # the last byte of each
    return width * int(np.count_nonzero(ends))


def _after_number(data: bytes, position: int, kind: int) -> int:
    """Returns where a number ends; a group, which is none, begins and ends with its tags."""
    if kind != _VARINT:
        return position + _FIXED_WIDTHS.get(kind, 0)
    while data[position] >= _MORE:
        position += 1
    return position + 1


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Returns the number, and where it ends."""
    value = 0
    for shift in range(0, 7 * _MAX_VARINT, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < _MORE:
            return value, position
    raise IndexError


@cache
def _shape(message: Descriptor) -> _Shape:
    shape = _Shape()
    for described in message.fields:
        tag = described.number << 3 | _LENGTH_DELIMITED
        if (inner := described.message_type) is not None:
            # Of an entry of a map, the message that is its value is there even where it was not sent.
            size = 0 if message.GetOptions().map_entry else _structure(inner) + _ELEMENT * described.is_repeated
            shape.messages[tag] = size, _shape(inner)
        elif described.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            shape.strings |= {tag} if described.is_repeated else set()
        elif described.cpp_type in _WIDTHS and described.type not in _FIXED_SIZES:
            width = _WIDTHS[described.cpp_type]
            shape.packed[tag] = width * 7 // 4 + width  # what the list grew out of is kept; and the array made of it
    return shape


def _structure(message: Descriptor) -> int:
    """Returns the bytes of one such message; of an entry of a map, with the message that is its value."""
    strings = sum(described.cpp_type == FieldDescriptor.CPPTYPE_STRING for described in message.fields)
    size = _STRUCTURE + _POINTER * len(message.fields) + (_STRING - _POINTER) * strings
    if message.GetOptions().map_entry and (value := message.fields_by_name["value"].message_type) is not None:
        size += _structure(value)
    return size
