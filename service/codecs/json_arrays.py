"""Lists of numbers in JSON, read from the text into numpy at once: without an object of Python's for each number.

Whoever parses a document with `parse_arrays` gets what a parser makes of it, but for long lists of nothing but numbers,
nested to equal lengths: these are cut out of the text before it is parsed, and read on their own. What is unusual in
any way is left to the parser, and so are the words for what is wrong.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import orjson
import simdjson

from service.core.tensors import Tensor

_MIN_LENGTH = 1024
"""Of a list's text, in bytes; a parser has made lists of what is shorter as soon, and many of them sooner."""
_BYTES_A_STRING = 256
"""Of a document with lists of numbers, at least; of one with more strings they are not worth the search."""
_MAX_DEPTH = 32
_MAX_KEPT = 4 * 1024 * 1024
"""Of a text, in bytes. A parser keeps memory for the longest that it has read, ten times as much and more."""

_SPACE = b" \t\n\r"
_BEFORE = re.compile(rb"[ \t\n\r]*+:[ \t\n\r]*+(?=\[)")
_NUMBERS_AND_SPACE = b"0123456789+-.eE" + _SPACE
_MARK = "\0"
"""Stands before the number of a list that was cut out; no string can hold it where there is no escape."""
_REFUSED = (ValueError, TypeError, RuntimeError)
"""What the parser raises for what is no JSON, or has other values than those asked for."""

_parsers: list[simdjson.Parser] = []
"""Those that nobody uses now. A parser belongs to one thread at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class NumericArray:
    """Nested lists of numbers, in a parsed document.

    Attributes:
        values: In the lists' shape: float64 if one of the numbers has a fraction or an exponent, else int64, or uint64
            where they are beyond it.
        text: The lists, in JSON.
    """

    values: Tensor
    text: bytes

    def __len__(self) -> int:
        return len(self.values)


def parse_arrays(data: bytes) -> Any:
    """Returns a document with a `NumericArray` in place of some lists; ``None`` where that cannot be, for any reason.

    The arrays are members of the document, members of its members, or members of the elements of its members.

    Args:
        data: In UTF-8.
    """
    if len(data) < _MIN_LENGTH or b"\\" in data:
        return None
    arrays, rest, done = list[NumericArray](), list[bytes](), 0
    for start, end in _candidates(data):
        if (array := _array(data[start:end])) is not None:
            rest += data[done:start], b'"\\u0000%d"' % len(arrays)
            arrays.append(array)
            done = end
    if not arrays:
        return None
    try:
        document = orjson.loads(b"".join((*rest, data[done:])))
    except orjson.JSONDecodeError:
        return None
    return document if _put(arrays, document) else None


def has_arrays(document: Any) -> bool:
    """Tells whether there is an array in a document of `parse_arrays`."""
    return any(isinstance(value, NumericArray) for members in _objects(document) for value in members.values())


def with_lists(document: dict[str, Any]) -> dict[str, Any]:
    """Puts lists where `parse_arrays` has put arrays, and returns the document."""
    for members in _objects(document):
        for name, value in members.items():
            members[name] = as_lists(value)
    return document


def as_lists(value: Any) -> Any:
    """Returns what a parser makes of the text of an array, or of arrays in a list; any other value as it is."""
    if isinstance(value, NumericArray):
        return orjson.loads(value.text)
    if isinstance(value, list) and value and isinstance(value[0], NumericArray):
        return [as_lists(element) for element in value]
    return value


def values_of(value: Any) -> Tensor | None:
    """Returns the numbers of an array, or of arrays of one shape in a list; ``None`` for any other value."""
    if isinstance(value, NumericArray):
        return value.values
    if not (isinstance(value, list) and value and isinstance(value[0], NumericArray)):
        return None
    if not all(isinstance(element, NumericArray) for element in value):
        return None
    if len({element.values.shape for element in value}) > 1:
        return None
    return np.stack([element.values for element in value])


def _candidates(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields where each list begins and ends that is a member of an object, and may be one of numbers.

    Without escapes a string ends at the next quote.
    """
    opening = data.find(b'"')
    strings = 0
    while opening >= 0 and strings * _BYTES_A_STRING <= len(data):
        strings += 1
        closing = data.find(b'"', opening + 1)
        opening = data.find(b'"', closing + 1) if closing >= 0 else -1
        match = _BEFORE.match(data, closing + 1) if closing >= 0 else None
        if match:
            limit = len(data) if opening < 0 else opening
            start, end = match.end(), _end(data, match.end(), limit)
            if end - start >= _MIN_LENGTH:
                yield start, end


def _end(data: bytes, start: int, limit: int) -> int:
    """Returns where a list of numbers ends that begins there: before the next member, or the end of its object."""
    end = data.find(b"}", start, limit)
    if end < 0:
        end = data.rfind(b",", start, limit)
    while end > start and data[end - 1] in _SPACE:
        end -= 1
    return end


def _array(text: bytes) -> NumericArray | None:
    """Returns the array; ``None`` when it is none, or its lists have different lengths."""
    values = _values(text)
    shape = None if values is None else _shape(text, values.size)
    return None if values is None or shape is None else NumericArray(values.reshape(shape), text)


def _values(text: bytes) -> Tensor | None:
    """Returns the numbers in their order [N], of lists however long; ``None`` when the text is something else."""
    try:
        parser = _parsers.pop()
    except IndexError:
        parser = simdjson.Parser()
    try:
        lists = parser.parse(text)
        if not isinstance(lists, simdjson.Array):
            return None
        if b"." in text or b"e" in text or b"E" in text:
            values = np.frombuffer(lists.as_buffer(of_type="d"), np.float64)
        else:
            values = _integers(lists)
    except _REFUSED:
        return None
    del lists  # a parser to which something refers cannot be used again
    if len(text) <= _MAX_KEPT:
        _parsers.append(parser)
    return values


def _integers(lists: simdjson.Array) -> Tensor:
    try:
        return np.frombuffer(lists.as_buffer(of_type="i"), np.int64)
    except _REFUSED:
        return np.frombuffer(lists.as_buffer(of_type="u"), np.uint64)


def _shape(text: bytes, size: int) -> tuple[int, ...] | None:
    """Returns the shape of nested lists, known to be JSON and to hold so many numbers; ``None`` when they are uneven.

    What remains of the text without its numbers is the same for all lists of one shape: it is compared with that.
    """
    if text.find(b"[", 1) < 0:
        return (size,) if size else None
    marks = text.translate(None, _NUMBERS_AND_SPACE)
    depth = len(marks) - len(marks.lstrip(b"["))
    if depth > _MAX_DEPTH:
        return None
    lengths: list[int] = []
    inner = b""
    for level in range(depth):  # from the innermost lists outwards, as long as the first one of each level is
        after_each = marks[depth - level + len(inner) :: len(inner) + 1]
        length = len(after_each) - len(after_each.lstrip(b",")) + 1
        lengths.insert(0, length)
        inner = b"[%b]" % b",".join([inner] * length)
    # A list of one number looks like one of none.
    return tuple(lengths) if inner == marks and prod(lengths) == size else None


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    """Yields the objects in which arrays may be."""
    if not isinstance(document, dict):
        return
    yield document
    for value in document.values():
        if isinstance(value, dict):
            yield value
        elif isinstance(value, list):
            yield from (element for element in value if isinstance(element, dict))


def _put(arrays: list[NumericArray], document: Any) -> bool:
    """Puts the arrays where their marks stand; returns whether each of them has found its place."""
    places = [
        (members, name, int(value[1:]))
        for members in _objects(document)
        for name, value in members.items()
        if isinstance(value, str) and value.startswith(_MARK)
    ]
    for members, name, index in places:
        members[name] = arrays[index]
    return len(places) == len(arrays)
