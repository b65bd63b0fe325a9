"""Reads series from a CSV file, and says in which line what is wrong with it."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.forecaster.calendar import season_of


@dataclass(frozen=True, slots=True)
class Table:
    """The columns asked for.

    Attributes:
        values: float64 [N,F], in the order of the file, all finite.
        columns: the F names.
        period: steps in a season, as the distance of the times suggests; 1 without times.
    """

    values: NDArray[np.float64]
    columns: tuple[str, ...]
    period: int


def read_table(path: Path, *, columns: Sequence[str], time_column: str | None) -> Table:
    """Reads a CSV file whose first line names its columns.

    Args:
        path: the file, UTF-8.
        columns: the columns to read, at least one.
        time_column: a column of ISO dates, ISO times or numbers, checked for order and gaps; None for no check.

    Raises:
        TrainingError: the file is not readable as CSV, a column is missing or named twice, a value is missing or not a
            finite number, or the times are out of order or leave a gap.
    """
    header, rows = _read(path)
    if not columns:
        raise TrainingError(f"{path}: name the column to forecast with --column; the file has {_listed(header)}")
    chosen = [_position(path, header, column) for column in columns]
    if len(set(chosen)) < len(chosen):
        raise TrainingError(f"--column: expected different columns, got {_listed(columns)}")
    values = np.array(
        [[_number(path, line, header[index], row[index]) for index in chosen] for line, row in rows], np.float64
    )
    period = 1
    if time_column is not None:
        index = _position(path, header, time_column)
        period = season_of(path, time_column, [(line, row[index].strip()) for line, row in rows])
    return Table(values, tuple(columns), period)


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the rows that are not empty with their line numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path}: cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise TrainingError(
            f"{path}: expected a line of column names and lines of values, got {len(rows)} lines of values"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise TrainingError(f"{path}, line {line}: expected {len(header)} fields, got {len(row)}")
    return header, rows


def _position(path: Path, header: Sequence[str], column: str) -> int:
    if header.count(column) != 1:
        what = "has no column" if column not in header else "has more than one column"
        raise TrainingError(f"{path}: {what} {column!r}; it has {_listed(header)}")
    return header.index(column)


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TrainingError(f"{path}, line {line}, column {column!r}: expected a finite number, got {text!r}")
    return value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
