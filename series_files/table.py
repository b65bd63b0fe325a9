"""Reads series from a file, says in which line what is wrong with it, and what was guessed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from series_files.decimals import decimal_sign, note_of, number
from series_files.errors import TableError
from series_files.reading import Reading
from series_files.several import check_single, note_on_names, one_series
from series_files.sheet import Sheet, is_missing, listed, read_sheet
from series_files.timeline import Timeline, filled, timeline
from series_files.times import looks_like_times, read_times

_NO_TIME = "none"


@dataclass(frozen=True, slots=True)
class Table:
    """The columns asked for.

    Attributes:
        values: float64 [N,F], oldest first, a row for each step, all finite.
        columns: the F names.
        period: steps in a season, as the distance of the times suggests; 1 without times.
        notes: what was guessed, sorted, merged and filled, a sentence each.
    """

    values: NDArray[np.float64]
    columns: tuple[str, ...]
    period: int
    notes: tuple[str, ...] = ()


def read_table(path: Path, reading: Reading) -> Table:
    """Reads a file whose first line names its columns.

    Args:
        path: of delimited text, Excel, or Parquet.
        reading: the columns, and what is not to be guessed.

    Raises:
        TableError: the file is not readable, a column is missing or named twice, a value is not a finite number,
            something can be read in two ways, there are several series, or the times are uneven.
    """
    return table_of(read_sheet(path, reading), reading)


def table_of(sheet: Sheet, reading: Reading) -> Table:
    """Reads the columns of a file; see `read_table`."""
    if not reading.columns:
        raise TableError(
            f"{sheet.path}: name the column to forecast with --column; the file has " + listed(sheet.header)
        )
    chosen = [sheet.position(column) for column in reading.columns]
    if len(set(chosen)) < len(chosen):
        raise TableError(f"--column: expected different columns, got {listed(reading.columns)}")
    time = _time_position(sheet, reading, chosen)
    taken = {*chosen, *([] if time is None else [time])}
    if reading.series is not None:
        sheet = one_series(sheet, reading.series, taken)
    elif time is not None:
        check_single(sheet, time, taken)
    sign = reading.decimal or decimal_sign(sheet, chosen)
    values = np.array([_numbers(sheet, position, sign) for position in chosen]).T
    notes = [*sheet.notes]
    if reading.decimal is None and sheet.delimiter:
        notes += [note for position in chosen for note in note_of(sheet.texts(position), sign)][:1]
    if time is None:
        notes += note_on_names(sheet, taken) if reading.series is None else ()
        line = Timeline(values, (), 1, ())
    else:
        times = read_times(sheet, time, reading)
        line = timeline(sheet, time, times, values)
        notes += [*times.notes, *line.notes]
    whole, filling = filled(sheet, line, reading.fill)
    return Table(whole, reading.columns, line.period, (*notes, *filling))


def _time_position(sheet: Sheet, reading: Reading, chosen: Sequence[int]) -> int | None:
    """The column of times; None where it was said that there is none, or none looks like one.

    Raises:
        TableError: one does, and it was not said whether it is.
    """
    name = reading.time_column
    if name == _NO_TIME and name not in sheet.header:
        return None
    if name is not None:
        return sheet.position(name)
    for position, column in enumerate(sheet.header):
        if position not in chosen and looks_like_times(sheet.texts(position)):
            raise TableError(
                f"{sheet.path}: column {column!r} looks like times: say --time-column {column!r}, or --time-column "
                f"{_NO_TIME} to take the rows as they come, evenly spaced and oldest first"
            )
    return None


def _numbers(sheet: Sheet, position: int, sign: str) -> list[float]:
    """The numbers of a column, NaN for missing ones."""
    found = []
    for index, text in enumerate(sheet.texts(position)):
        value = math.nan if is_missing(text) else number(text, sign)
        if not is_missing(text) and not math.isfinite(value):
            raise TableError(f"{sheet.where(index, position)}: expected a finite number, got {text!r}")
        found.append(value)
    return found
