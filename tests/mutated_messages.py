"""Messages of Protocol Buffers that differ a little from valid ones, on the wire.

Format: https://protobuf.dev/programming-guides/encoding/
"""

import math
import struct
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from google.protobuf.message import Message

from tests.mutations import PADDING, WORDS, Change, change_one, change_some, flipped, moved, mutated_bytes, removed

_VARINT, _FIXED64, _BYTES, _GROUP, _GROUP_END, _FIXED32 = range(6)
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}
_UNKNOWN_NUMBERS = (15, 100, 2**29 - 1)
_VARINTS = (0, 1, 2, 3, 127, 128, 255, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1)


def mutated_message(data: bytes, kind: type[Message], random: Random) -> bytes:
    """Returns another message, or what is none any more; it may also be the same one, written otherwise.

    Args:
        data: A valid message.
        kind: Its type.
        random: Says what is changed.
    """
    if random.random() < 0.3:
        return flipped(data, random)
    fields = _fields(data, kind.DESCRIPTOR)
    change_some(fields, _CHANGES, random)
    changed = _written(fields)
    return changed if random.random() < 0.7 else mutated_bytes(changed, random)


@dataclass(slots=True)
class _Field:
    """A field as it stands on the wire; one that holds a message has the fields of that."""

    number: int
    wire_type: int
    value: Any


def _fields(data: bytes, descriptor: Any) -> list[_Field]:
    """Returns the fields of a valid message without groups."""
    fields: list[_Field] = []
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        number, wire_type = key >> 3, key & 7
        value: Any
        if wire_type == _VARINT:
            value, position = _read_varint(data, position)
        else:
            width = _WIDTHS.get(wire_type)
            if width is None:
                width, position = _read_varint(data, position)
            value, position = data[position : position + width], position + width
        inner = descriptor.fields_by_number[number].message_type
        fields.append(_Field(number, wire_type, value if inner is None else _fields(value, inner)))
    return fields


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _written(fields: list[_Field]) -> bytes:
    parts = []
    for field in fields:
        value = field.value
        if isinstance(value, int):
            data = _varint(value)
        else:
            data = _written(value) if isinstance(value, list) else value
            if field.wire_type == _BYTES:
                data = _varint(len(data)) + data
        parts.append(_varint(field.number << 3 | field.wire_type) + data)
    return b"".join(parts)


def _changed(fields: list[_Field], index: int, random: Random) -> None:
    fields[index] = _other(fields[index], random)


def _twice(fields: list[_Field], index: int, random: Random) -> None:
    """Says a field again, the same or otherwise: scalars are the last, messages are merged, lists are joined."""
    again = fields[index] if random.random() < 0.3 else _other(fields[index], random)
    fields.insert(random.randint(0, len(fields)), again)


def _unknown(fields: list[_Field], index: int, random: Random) -> None:
    number, size = random.choice(_UNKNOWN_NUMBERS), random.choice((0, 1, 7, 7, PADDING))
    fields[index:index] = random.choice(
        (
            [_Field(number, _VARINT, random.choice(_VARINTS))],
            [_Field(number, _FIXED32, random.randbytes(4))],
            [_Field(number, _FIXED64, random.randbytes(8))],
            [_Field(number, _BYTES, random.randbytes(size))],
            [_Field(number, _GROUP, b""), _Field(number, _GROUP_END, b"")],
        )
    )


def _renumbered(fields: list[_Field], index: int, random: Random) -> None:
    fields[index] = replace(fields[index], number=random.randint(1, 17))


def _split(fields: list[_Field], index: int, random: Random) -> None:
    """Has two fields in place of one: parts of a message or of a list of numbers mean the same as the whole."""
    field = fields[index]
    if field.wire_type == _BYTES:
        at = random.randint(0, len(field.value))
        fields[index : index + 1] = [replace(field, value=field.value[:at]), replace(field, value=field.value[at:])]


def _other(field: _Field, random: Random) -> _Field:
    """Returns the field with another value."""
    value = field.value
    if isinstance(value, int):
        return replace(field, value=random.choice((value ^ 1 << random.randrange(8), *random.sample(_VARINTS, 2))))
    if isinstance(value, list):
        inner = [replace(each) for each in value]
        change_one(inner, (removed, moved, _changed), random)
        return replace(field, value=inner)
    if field.wire_type in _WIDTHS:
        number = struct.pack("<f" if len(value) == 4 else "<d", random.choice((0.0, 1.5, math.nan, math.inf)))
        return replace(field, value=random.choice((number, random.randbytes(len(value)))))
    return replace(field, value=random.choice((mutated_bytes(value, random), random.choice(WORDS).encode())))


_CHANGES: tuple[Change, ...] = (
    *(removed, moved, _changed, _changed, _changed),
    *(_twice, _twice, _unknown, _renumbered, _split),
)
