"""JSON documents as TensorFlow Serving reads them, which is a little more than JSON.

Beyond JSON it takes ``NaN``, ``Inf`` and ``Infinity``, a byte order mark, and anything after the document. Its parser
is RapidJSON, whose words for what is wrong clients know; they are given here for what another parser finds.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import orjson

from service.codecs.json_arrays import parse_arrays
from service.core.bounds import InputBounds

_BYTE_ORDER_MARK = "\ufeff"
_SPACE = " \t\n\r"
# A string that does not end is a match too: otherwise the search would start again at each of its quotes. Possessive:
# what could be taken back is remembered, at a hundred times its size.
_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_TOKENS = re.compile(_STRING + r"|-?(?:Inf(?:inity)?|NaN)\b", re.DOTALL)
_BRACKETS = re.compile(_STRING + r"|[][{}]", re.DOTALL)
_MAYBE_TOO_BIG = re.compile(r"[eE]\+?[0-9]{3}|(?<![0-9])[0-9]{300}")
_NOT_AS_PYTHON = re.compile(r"-NaN|Inf(?!inity)")
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_WHOLE_CHARACTERS = re.compile(rf"(?:[^\\]++|(?!{_HIGH}|{_LOW})\\.|{_HIGH}{_LOW})*+", re.DOTALL)
_HALF_CHARACTER = re.compile(rf"(?P<high>{_HIGH})|{_LOW}")
_HALF = "The surrogate pair in string is invalid."
_TOO_BIG = "Number too big to be stored in double."
_REASONS = {
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}


class JsonError(ValueError):
    """A document cannot be parsed.

    Attributes:
        offset: Where, in bytes; ``None`` when there is nothing.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} at offset: {offset}")
        self.offset = offset


def parse_json(
    data: bytes,
    *,
    bounds: InputBounds,
    hold: Callable[[int], None] = lambda _: None,
    rubbish_after: bool = False,
    arrays: bool = False,
) -> Any:
    """Returns the document.

    Args:
        data: In UTF-8.
        bounds: Of its depth, its values and its length.
        hold: Counts the bytes of what is made of it, before it is made.
        rubbish_after: Whether anything may come after the document.
        arrays: Whether a `NumericArray` may stand in place of lists of numbers.

    Raises:
        JsonError: When it is none.
        GatewayError: TOO_LARGE when it is nested too deep for any bound, has too many values, or is too long for what
            is not plain JSON; and what ``hold`` raises.
    """
    bounds.check_json(data)
    if arrays and (document := parse_arrays(data, lambda rest: bounds.check_parsed_json(rest, hold))) is not None:
        return document
    bounds.check_parsed_json(data, hold)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise bounds.too_deep("body") from None
        bounds.check_extended_json(len(data), why=str(error))
    # What is left is either wrong or beyond JSON.
    if not data:
        raise JsonError("The document is empty")
    try:
        text = data.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise JsonError("Invalid encoding in string.", error.start) from None
    _check_surrogates(text)
    try:
        if _NOT_AS_PYTHON.search(text):
            text = _TOKENS.sub(_as_python_has_it, text)
        return _parsed(text, rubbish_after=rubbish_after)
    except RecursionError:
        raise bounds.too_deep("body") from None


def _check_surrogates(text: str) -> None:
    """Refuses escapes of half a character, which would make texts that cannot be written anywhere."""
    whole = _WHOLE_CHARACTERS.match(text)
    if whole and (half := _HALF_CHARACTER.match(text, whole.end())):
        raise JsonError(_HALF, len(text[: half.end() if half["high"] else half.start()].encode()))


def _as_python_has_it(token: re.Match[str]) -> str:
    text = token[0]
    if text.startswith('"'):
        return text
    return "NaN" if text.endswith("NaN") else "-Infinity" if text.startswith("-") else "Infinity"


def _parsed(text: str, *, rubbish_after: bool) -> Any:
    # Hooks are called for each number: only where one of them may be infinite.
    decoder = json.JSONDecoder(parse_float=_float) if _MAYBE_TOO_BIG.search(text) else json.JSONDecoder()
    start = len(text) - len(text.lstrip(_SPACE))
    try:
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        reason, position = _reason(error, text)
        raise JsonError(reason, len(text[:position].encode())) from None
    except OverflowError as error:
        raise JsonError(_TOO_BIG, len(text[: text.index(str(error))].encode())) from None
    except ValueError:  # Python's own limit of an integer's digits
        raise JsonError(_TOO_BIG, 0) from None
    if not rubbish_after and text[end:].strip(_SPACE):
        raise JsonError("The document root must not be followed by other values.", len(text[:end].encode()))
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise OverflowError(text)
    return value


def _reason(error: json.JSONDecodeError, text: str) -> tuple[str, int]:
    """Returns RapidJSON's words, and the position that it would name."""
    if error.msg == "Expecting ',' delimiter":
        bracket = "]" if _innermost(text[: error.pos]) == "[" else "}"
        after = "an array element" if bracket == "]" else "an object member"
        return f"Missing a comma or '{bracket}' after {after}.", error.pos
    if error.msg.startswith("Unterminated string"):
        return "Missing a closing quotation mark in string.", len(text)
    if error.msg in _REASONS:
        return _REASONS[error.msg], error.pos
    if not text.strip(_SPACE):
        return "The document is empty.", len(text)
    return "Invalid value.", error.pos


def _innermost(text: str) -> str:
    """Returns the bracket that is open at the end of the text."""
    open_brackets: list[str] = []
    for match in _BRACKETS.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            open_brackets.append(bracket)
        elif bracket in "]}" and open_brackets:
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else ""
