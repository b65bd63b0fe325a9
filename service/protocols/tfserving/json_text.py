"""JSON values in upstream's errors: their types' names, and their text, cut short."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import orjson

from service.codecs.json_arrays import NumericArray, as_lists

_MAX_BYTES = 256
_INDENT = "    "


def json_type(value: Any) -> str:
    """Returns RapidJSON's name of a value's type."""
    match value:
        case None:
            return "Null"
        case bool():
            return str(value)
        case dict():
            return "Object"
        case list() | NumericArray():
            return "Array"
        case str():
            return "String"
        case _:
            return "Number"


def json_text(value: Any) -> str:
    """Returns the value as upstream quotes it: objects over several lines, lists on one, the first 256 bytes."""
    text = bytearray()
    for piece in _pieces(value, 0):
        text += piece.encode()
        if len(text) > _MAX_BYTES:
            break
    return text[:_MAX_BYTES].decode("utf-8", "ignore")


def _pieces(value: Any, depth: int) -> Iterator[str]:
    match value:
        case dict() if value:
            yield "{"
            for index, (name, item) in enumerate(value.items()):
                yield f"{',' if index else ''}\n{_INDENT * (depth + 1)}{_scalar(name)}: "
                yield from _pieces(item, depth + 1)
            yield f"\n{_INDENT * depth}}}"
        case NumericArray():
            yield from _pieces(as_lists(value), depth)
        case list() if value:
            yield "["
            for index, item in enumerate(value):
                yield from chain((", ",) if index else (), _pieces(item, depth))
            yield "]"
        case _:
            yield _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return orjson.dumps(value[:_MAX_BYTES]).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if type(value) is int:
        return str(value)  # may be longer than what can be written otherwise
    return orjson.dumps(value).decode()
