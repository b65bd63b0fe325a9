"""Reads numbers as people write them: with a decimal point or comma, and with groups of thousands."""

import math
import re
from collections.abc import Iterable, Sequence

from series_files.errors import TableError
from series_files.sheet import Sheet, is_missing

_SIGNS = ".,"
_SPACES = " \u00a0\u202f'\u2019"  # between thousands, whatever the decimal sign
_OTHER = {".": ",", ",": "."}
_PATTERNS = {
    sign: re.compile(
        rf"[+-]?(?:(?:\d+|[1-9]\d{{0,2}}(?:[{_SPACES}{re.escape(_OTHER[sign])}]\d{{3}})+)(?:{re.escape(sign)}\d*)?"
        rf"|{re.escape(sign)}\d+)(?:[eE][+-]?\d+)?"
    )
    for sign in _SIGNS
}
_REMOVED = {sign: str.maketrans(sign, ".", _SPACES + _OTHER[sign]) for sign in _SIGNS}


def decimal_sign(sheet: Sheet, chosen: Sequence[int]) -> str:
    """Finds out the decimal sign of some columns.

    It is the one with which all their cells are numbers. Where both are possible and mean different numbers ("2.193"),
    the other columns of the file decide, then a file that is separated by commas and has a point in every cell.

    Args:
        sheet: the file.
        chosen: the positions of the columns.

    Raises:
        TableError: it cannot be told.
    """
    if not sheet.delimiter:
        return "."
    texts = [text for position in chosen for text in _present(sheet.texts(position))]
    possible = [sign for sign in _SIGNS if all(_PATTERNS[sign].fullmatch(text) for text in texts)]
    if len(possible) < 2:
        # With none, the commoner one: what does not fit is then found and named.
        return max(possible or _SIGNS, key=lambda sign: sum(bool(_PATTERNS[sign].fullmatch(text)) for text in texts))
    unclear = next((text for text in texts if number(text, ".") != number(text, ",")), None)
    if unclear is None:
        return "."
    others = {sign for position in range(len(sheet.header)) for sign in _only_sign(sheet.texts(position))}
    if len(others) == 1:
        return others.pop()
    if not others and sheet.delimiter == "," and all("." in text for text in texts):
        return "."
    raise TableError(
        f"{sheet.path}: {unclear!r} may be {number(unclear, '.'):.15g} or {number(unclear, ','):.15g}: "
        "say --decimal . or --decimal ,"
    )


def number(text: str, sign: str) -> float:
    """A number; NaN for what is none."""
    if not _PATTERNS[sign].fullmatch(text):
        return math.nan
    return float(text.translate(_REMOVED[sign]))


def note_of(texts: Iterable[str], sign: str) -> tuple[str, ...]:
    """A sentence on how numbers are read, where they could be read otherwise or not by a program."""
    for text in _present(texts):
        value, other = number(text, sign), number(text, _OTHER[sign])
        if text.translate(_REMOVED[sign]) != text or not (math.isnan(other) or other == value):
            return (f"{text!r} is read as {value:.15g} (--decimal)",)
    return ()


def _only_sign(texts: Iterable[str]) -> Iterable[str]:
    """The decimal sign of a column that says it beyond doubt."""
    present = list(_present(texts))
    possible = [sign for sign in _SIGNS if present and all(_PATTERNS[sign].fullmatch(text) for text in present)]
    return possible if len(possible) == 1 else ()


def _present(texts: Iterable[str]) -> Iterable[str]:
    return (text for text in texts if not is_missing(text))
