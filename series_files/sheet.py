"""Reads a file of named columns, whatever its kind: text with delimiters, Excel or Parquet; cells become text."""

import csv
import datetime
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from series_files.dialect import decoded, delimiter_of, named
from series_files.errors import TableError
from series_files.reading import Reading

_REFUSED = {
    b"\xd0\xcf\x11\xe0": "an Excel file from before 2007: save it as .xlsx or CSV",
    b"\x1f\x8b": "a gzip file: unpack it",
}
_MISSING = frozenset({"", "-", "#n/a", "n/a", "na", "nan", "none", "null"})
_SEP_LINE = "sep="  # Excel writes, and reads, a first line that says what the delimiter is


@dataclass(frozen=True, slots=True)
class Sheet:
    """Named columns.

    Attributes:
        path: of the file.
        header: the names.
        rows: for each row its number in the file and its cells, without the blanks around them.
        row: what a row is called, "line" in text.
        delimiter: between fields; empty where cells have types, and numbers are written with a point.
        notes: what was guessed.
    """

    path: Path
    header: tuple[str, ...]
    rows: Sequence[tuple[int, Sequence[str]]]
    row: str
    delimiter: str
    notes: tuple[str, ...]

    def position(self, column: str) -> int:
        """Where a column is.

        Raises:
            TableError: there is none of that name, or more than one.
        """
        if self.header.count(column) != 1:
            what = "has no column" if column not in self.header else "has more than one column"
            raise TableError(f"{self.path}: {what} {column!r}; it has {listed(self.header)}")
        return self.header.index(column)

    def texts(self, position: int) -> list[str]:
        """The cells of a column."""
        return [cells[position] for _, cells in self.rows]

    def where(self, index: int, position: int) -> str:
        """The place of a cell, for messages."""
        return f"{self.path}, {self.row} {self.rows[index][0]}, column {self.header[position]!r}"


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.lower() in _MISSING


def listed(names: Iterable[str]) -> str:
    """Names as they stand in messages."""
    return ", ".join(repr(name) for name in names)


def read_sheet(path: Path, reading: Reading) -> Sheet:
    """Reads a file.

    Args:
        path: of text whose first line names the columns, of an Excel file (its first sheet), or of a Parquet file.
        reading: `delimiter` and `encoding` overrule what is found out of text.

    Raises:
        TableError: it cannot be read, is of another kind, or has no rows; what reads it is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    for start, what in _REFUSED.items():
        if content.startswith(start):
            raise TableError(f"{path}: expected CSV, .xlsx or Parquet, got {what}")
    if content.startswith(b"PK\x03\x04"):
        sheet = _excel(path)
    elif content.startswith(b"PAR1"):
        sheet = _parquet(path)
    else:
        sheet = _text(path, content, reading)
    if not sheet.delimiter and (reading.decimal or reading.delimiter or reading.encoding):
        raise TableError(f"{path}: --decimal, --delimiter and --encoding belong to text; this file has typed cells")
    if not sheet.rows:
        raise TableError(f"{path}: expected a line of column names and lines of values, got 0 lines of values")
    for line, cells in sheet.rows:
        if len(cells) != len(sheet.header):
            raise TableError(f"{path}, line {line}: expected {len(sheet.header)} fields, got {len(cells)}")
    return sheet


def _text(path: Path, content: bytes, reading: Reading) -> Sheet:
    try:
        text, note = decoded(content, reading.encoding)
    except (UnicodeError, LookupError) as error:
        raise TableError(f"{path}: cannot be read as text in {reading.encoding or 'UTF-8'}: {error}") from error
    notes = [note] if note else []
    first, lines = 1, text
    if text.startswith(_SEP_LINE) and len(text.partition("\n")[0].strip()) == len(_SEP_LINE) + 1:
        first, lines = 2, text.partition("\n")[2]
    delimiter = reading.delimiter or (text[len(_SEP_LINE)] if first == 2 else delimiter_of(lines))
    if delimiter != "," and reading.delimiter is None:
        notes.append(f"fields are separated by {named(delimiter)} (--delimiter)")
    try:
        reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter, strict=True)
        header = tuple(name.strip() for name in next(reader, []))
        rows = [(reader.line_num + first - 1, [cell.strip() for cell in row]) for row in reader if row]
    except csv.Error as error:
        raise TableError(f"{path}: cannot be read as CSV: {error}") from error
    return Sheet(path, header, rows, "line", delimiter, tuple(notes))


def _excel(path: Path) -> Sheet:
    try:
        import openpyxl
    except ImportError as error:
        raise TableError(f"{path}: {_not_installed('openpyxl', 'excel')}, or save the file as CSV") from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        cells = [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]
        names = book.sheetnames
        book.close()
    except Exception as error:  # it raises whatever it stumbles over
        raise TableError(f"{path}: cannot be read as an Excel file: {error}") from error
    notes = (f"of {len(names)} sheets the first, {names[0]!r}, is read",) if len(names) > 1 else ()
    filled = [(number, row) for number, row in enumerate(cells, 1) if any(row)]
    header = tuple(filled[0][1]) if filled else ()
    width = max((index + 1 for index, name in enumerate(header) if name), default=0)
    rows = [(number, [*row, *[""] * width][:width]) for number, row in filled[1:]]
    return Sheet(path, header[:width], rows, "row", "", notes)


def _parquet(path: Path) -> Sheet:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        raise TableError(
            f"{path}: {_not_installed('pandas or pyarrow', 'parquet')}, or save the file as CSV"
        ) from error
    except Exception as error:  # likewise
        raise TableError(f"{path}: cannot be read as a Parquet file: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index()
    rows = [
        (number, ["" if pd.isna(value) else _cell(value) for value in row])
        for number, row in enumerate(frame.itertuples(index=False, name=None), 1)
    ]
    return Sheet(path, tuple(map(str, frame.columns)), rows, "row", "", ())


def _not_installed(package: str, extra: str) -> str:
    """Says how to get what reads a file: from a clone, as no registry has this project."""
    command = f"pip install '.[{extra}]' in a clone of Tensorgate"
    return f"{package} is not installed; it comes with the extra {extra}: {command}"


def _cell(value: Any) -> str:
    """A typed cell as text: dates in ISO 8601, numbers with a point."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(float(value))
    return str(value).strip()
