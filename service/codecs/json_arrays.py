"""Lists of numbers in JSON, read from the text into numpy at once: without an object of Python's for each number.

Whoever parses a document with `parse_arrays` gets what a parser makes of it, but for long lists of nothing but numbers,
nested to equal lengths: these are cut out of the text before it is parsed, and read on their own. What is unusual in
any way is left to the parser, and so are the words for what is wrong.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import orjson
import simdjson

from service.core.tensors import Tensor

_MIN_LENGTH = 1024
"""Of a list's text, in bytes; a parser has made lists of what is shorter as soon, and many of them sooner."""
_MAX_DEPTH = 32
_MAX_KEPT = 4 * 1024 * 1024
"""Of a text, in bytes. A parser keeps memory for the longest that it has read, ten times as much and more."""

_SPACE = b" \t\n\r"
_BEFORE = re.compile(rb"[ \t\n\r]*+:[ \t\n\r]*+(?=\[)")
_NUMBERS_AND_SPACE = b"0123456789+-.eE" + _SPACE
_MARK = "\0"
_MARK_IN_JSON = b"\\u0000"
"""Begins the string that stands where a list was cut out; only an escape can put it into any other string."""
_REFUSED = (ValueError, TypeError, RuntimeError)
"""What simdjson raises for what is no JSON, or has values of other types than those requested."""

_parsers: list[simdjson.Parser] = []
"""The idle ones. A parser belongs to one thread at a time."""


@dataclass(slots=True, eq=False)
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


def parse_arrays(data: bytes, count: Callable[[bytes], None] = lambda _: None) -> Any:
    """Returns a document with a `NumericArray` in place of some lists; ``None`` where that cannot be, for any reason.

    The arrays are members of the document, members of its members, or members of the elements of its members.

    Args:
        data: In UTF-8.
        count: Takes what is left of it without these lists, before it is parsed; may raise.
    """
    arrays, parts, done = list[NumericArray](), list[bytes](), 0
    for start, end in _candidates(data):
        if (array := _read(data[start:end].rstrip(_SPACE))) is not None:
            parts += data[done:start], b'"%b%d"' % (_MARK_IN_JSON, len(arrays))
            arrays.append(array)
            done = end
    if not arrays:
        return None
    rest = b"".join((*parts, data[done:]))
    if rest.count(_MARK_IN_JSON) > len(arrays):
        return None
    count(rest)
    try:
        document = orjson.loads(rest)
    except orjson.JSONDecodeError:
        return None
    return document if _put(arrays, document) else None


def has_arrays(document: Any) -> bool:
    """Returns whether there is an array in a document of `parse_arrays`."""
    return any(isinstance(value, NumericArray) for members in _objects(document) for value in members.values())


def with_lists(document: dict[str, Any]) -> dict[str, Any]:
    """Puts lists where `parse_arrays` has put arrays, and returns the document."""
    for members in _objects(document):
        for name, value in members.items():
            members[name] = as_lists(value)
    return document


def as_lists(value: Any) -> Any:
    """Returns what a parser makes of the text of an array; any other value as it is."""
    return orjson.loads(value.text) if isinstance(value, NumericArray) else value


def stacked(rows: list[Any]) -> Any:
    """Returns rows that are arrays of one shape as one array; of any others a list, which holds no arrays."""
    if {type(row) for row in rows} != {NumericArray} or len({row.values.shape for row in rows}) > 1:
        return [as_lists(row) for row in rows]
    return NumericArray(np.stack([row.values for row in rows]), b"[%b]" % b",".join([row.text for row in rows]))


def _candidates(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields where each text begins and ends that may be a list of numbers: after a colon, long, and without a quote.

    Whether the quotes around it are those of strings, or stand within one, is not checked: within a string, the mark
    that takes its place would end the string, and go on with what cannot come after one.
    """
    quote = data.find(b'"')
    while quote >= 0:
        start = quote + 1
        quote = data.rfind(b'"', start, start + _MIN_LENGTH)  # the last of those that come too soon
        if quote < 0:
            quote = data.find(b'"', start + _MIN_LENGTH)
            limit = quote if quote >= 0 else len(data)
            if limit - start >= _MIN_LENGTH and (match := _BEFORE.match(data, start)):
                yield match.end(), _end(data, match.end(), limit)


def _end(data: bytes, start: int, limit: int) -> int:
    """Returns where a list of numbers ends that begins there: before the next member, or the end of its object."""
    end = data.find(b"}", start, limit)
    return end if end >= 0 else max(start, data.rfind(b",", start, limit))


def _read(text: bytes) -> NumericArray | None:
    """Returns the array; ``None`` when it is none, or its lists have different lengths."""
    try:
        parser = _parsers.pop()
    except IndexError:
        parser = simdjson.Parser()
    try:
        array = _array(parser.parse(text), text)
    except _REFUSED:
        array = None
    if len(text) <= _MAX_KEPT:
        _parsers.append(parser)
    return array


def _array(lists: Any, text: bytes) -> NumericArray | None:
    if b"." in text or b"e" in text or b"E" in text:
        values = np.frombuffer(lists.as_buffer(of_type="d"), np.float64)
    else:
        values = _integers(lists)
    shape = _shape(lists, text, values.size)
    return None if shape is None else NumericArray(values.reshape(shape), text)


def _integers(lists: simdjson.Array) -> Tensor:
    try:
        return np.frombuffer(lists.as_buffer(of_type="i"), np.int64)
    except _REFUSED:
        return np.frombuffer(lists.as_buffer(of_type="u"), np.uint64)


def _shape(lists: Any, text: bytes, size: int) -> tuple[int, ...] | None:
    """Returns the shape of nested lists that hold so many numbers; ``None`` when they are uneven.

    The first list of each level says what it would be. What remains of the text without its numbers is the same for all
    lists of one shape: it is compared with that.
    """
    if text.find(b"[", 1) < 0:
        return (size,) if size else None
    lengths: list[int] = []
    while isinstance(lists, simdjson.Array) and len(lists) and len(lengths) < _MAX_DEPTH:
        lengths.append(len(lists))
        lists = lists[0]
    marks = text.translate(None, _NUMBERS_AND_SPACE)
    # A list of one number looks like one of none: so the numbers are counted. What is too long is not made.
    if prod(lengths) != size or _skeleton_length(lengths) != len(marks):
        return None
    skeleton = b""
    for length in reversed(lengths):
        skeleton = b"[%b]" % b",".join([skeleton] * length)
    return tuple(lengths) if skeleton == marks else None


def _skeleton_length(lengths: list[int]) -> int:
    total = 0
    for length in reversed(lengths):
        total = length * (total + 1) + 1
    return total


def _objects(document: Any) -> list[dict[str, Any]]:
    """Returns the objects in which arrays may be."""
    if not isinstance(document, dict):
        return []
    objects = [document]
    for value in document.values():
        if isinstance(value, dict):
            objects.append(value)
        elif isinstance(value, list):
            objects += [element for element in value if isinstance(element, dict)]
    return objects


def _put(arrays: list[NumericArray], document: Any) -> bool:
    """Puts the arrays where their marks stand; returns whether each of them has found its place."""
    placed = 0
    for members in _objects(document):
        for name, value in members.items():
            if isinstance(value, str) and value.startswith(_MARK):
                members[name] = arrays[int(value[1:])]
                placed += 1
    return placed == len(arrays)
