"""Reads serialised messages field by field.

Parsing the graph of a large model is one call that holds the interpreter's lock for tens of milliseconds. Here its
parts are found by their lengths alone, and other threads can run in between.
"""

from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _EIGHT_BYTES, _WITH_LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """A field that has a length, such as a string or a message.

    Attributes:
        number: Number of the field.
        content: Its contents.
        whole: Its contents, with number and length in front.
    """

    number: int
    content: memoryview
    whole: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """Yields the fields that have a length, and skips the others.

    Raises:
        ValueError: When it is not a message, or not complete.
    """
    begin = 0
    while begin < len(message):
        tag, place = _varint(message, begin)
        kind = tag & 7
        if kind == _VARINT:
            _, end = _varint(message, place)
        elif kind == _WITH_LENGTH:
            length, place = _varint(message, place)
            end = place + length
        elif kind in {_FOUR_BYTES, _EIGHT_BYTES}:
            end = place + (4 if kind == _FOUR_BYTES else 8)
        else:
            raise ValueError("it is not a message")
        if end > len(message):
            raise ValueError("it ends too early")
        if kind == _WITH_LENGTH:
            yield Field(tag >> 3, message[place:end], message[begin:end])
        begin = end


def contents(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yields the contents of each field of that number; raises as `fields` does."""
    return (field.content for field in fields(message) if field.number == number)


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Returns the number at a position, and the position after it."""
    value = 0
    for shift, byte in enumerate(message[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, place + shift + 1
    raise ValueError("it ends too early")
