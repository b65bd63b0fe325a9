"""Finds out how a text file of columns is written: its encoding and what separates its fields."""

import codecs
import csv
import io
from collections.abc import Sequence

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LOOKED_AT = 200  # rows


def decoded(content: bytes, encoding: str | None) -> tuple[str, str]:
    """Decodes a file.

    Args:
        content: of the file.
        encoding: its encoding; None takes what its byte order mark says, else UTF-8, else Windows-1252.

    Returns:
        The text, and a sentence on what was guessed; empty for UTF-8, and where nothing was.

    Raises:
        UnicodeError: it is not text in that encoding, or in none that is known here.
        LookupError: there is no such encoding.
    """
    if encoding is not None:
        return content.decode(encoding).removeprefix("\ufeff"), ""
    marked = next((name for mark, name in _BYTE_ORDER_MARKS if content.startswith(mark)), None)
    if marked is not None:
        note = "" if marked == "utf-8-sig" else f"the file is in {marked.upper()}, by its first bytes (--encoding)"
        return content.decode(marked), note
    if (zeros := content[:1000].count(0)) > 0:
        # In UTF-16 every other byte of plain text is zero; in anything else that is text, none is.
        name = "utf-16-le" if content[1:1000:2].count(0) == zeros else "utf-16-be"
        return content.decode(name), f"the file is in {name.upper()}, by its zeros (--encoding)"
    try:
        return content.decode(), ""
    except UnicodeDecodeError:
        return content.decode("cp1252"), "the file is not UTF-8, so it is read as Windows-1252 (--encoding)"


def delimiter_of(text: str) -> str:
    """The delimiter that gives all rows the same number of fields, as many as can be; else the header's commonest.

    Of one column of numbers with decimal commas it is a semicolon, by which no row is divided.
    """
    found = {delimiter: _fields(text, delimiter) for delimiter in _DELIMITERS}
    even = {delimiter: sizes[0] for delimiter, sizes in found.items() if sizes and len(set(sizes)) == 1}
    if even and max(even.values()) > 1:
        return max(even, key=lambda delimiter: even[delimiter])
    header = text.partition("\n")[0]
    if even and "," not in even and not any(delimiter in header for delimiter in _DELIMITERS):
        return next(iter(even))
    return max(_DELIMITERS, key=header.count)


def named(delimiter: str) -> str:
    """What people call a delimiter."""
    return _DELIMITERS.get(delimiter, repr(delimiter))


def _fields(text: str, delimiter: str) -> Sequence[int]:
    """The sizes of the first rows; none where they cannot be read."""
    sizes = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if row:
                sizes.append(len(row))
            if len(sizes) == _LOOKED_AT:
                break
    except csv.Error:
        return ()
    return sizes
