"""Puts the rows of a series in the order of their times, one a step, and fills what is missing."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from series_files.axis import Axis, axis_of, regularity, span
from series_files.errors import TableError
from series_files.sheet import Sheet
from series_files.times import Times

_MOST_DOUBLED = 0.1  # of the rows
_MOST_MISSING = 0.1  # of the steps, unless it is said how they are filled
_ROUNDING = 1e-3  # of a step
_MOST_SPREAD = 10  # steps a row: more is a time that was mistyped, and would take memory without end
_HOUR = 3600
_SAID = {
    "last": "repeats the last one before it",
    "linear": "is on the line between its neighbours, the later one too, so errors of forecasts look ahead",
    "zero": "is 0",
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """A series, one row a step.

    Attributes:
        values: float64 [N,F], oldest first, NaN where the file has none.
        labels: of the N steps, for messages; empty for a step that the file does not have.
        period: steps in a season; 1 for none.
        notes: what was done to the rows, a sentence each.
    """

    values: NDArray[np.float64]
    labels: Sequence[str]
    period: int
    notes: tuple[str, ...]


def timeline(sheet: Sheet, position: int, times: Times, values: NDArray[np.float64]) -> Timeline:
    """Sorts rows by time, takes the mean of those of one time, and makes room for steps that are missing.

    Args:
        sheet: the file.
        position: of the column of times.
        times: what it says, one a row.
        values: float64 [rows,F].

    Raises:
        TableError: times repeat too often, or do not lie a whole number of steps apart.
    """
    moments = _even(times)
    keys = np.array([moment.timestamp() for moment in moments]) if moments else np.array(times.numbers)
    order = np.argsort(keys, kind="stable")
    notes = _order_note(keys)
    unique, first, group = np.unique(keys[order], return_index=True, return_inverse=True)
    rows = order[first]
    notes += _doubled_note(sheet, position, len(keys) - len(unique), rows, order)
    axis = axis_of([moments[row] for row in rows]) if moments else Axis("units", unique)
    gaps = _gaps(sheet, position, axis, rows)
    if not times.walls and axis.unit == "seconds" and axis.step <= _HOUR and notes and gaps.max(initial=1) > 1:
        notes.append("where the clocks of these times change for summer time, --time-zone says which clocks they are")
    places = np.concatenate([[0], np.cumsum(gaps)])
    spread = np.full((places[-1] + 1, values.shape[1]), np.nan)
    spread[places] = _means(values[order], group)
    labels = [""] * len(spread)
    texts = sheet.texts(position)
    for place, row in zip(places, rows, strict=True):
        labels[place] = texts[row]
    if axis.unit == "business days":
        notes.append("the times are Mondays to Fridays: a step is a business day, and a season five of them")
    return Timeline(spread, labels, axis.season, tuple(notes))


def filled(sheet: Sheet, line: Timeline, fill: str | None) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Fills the steps and cells without a value.

    Args:
        sheet: the file.
        line: the series.
        fill: `last`, `linear`, `zero`, or `none` to refuse them; None takes `last`, for at most one step in ten.

    Returns:
        float64 [N,F], all finite, and a sentence on what was filled.

    Raises:
        TableError: there is none to begin with, there are too many to fill, or they are not to be filled.
    """
    missing = np.isnan(line.values.sum(axis=1))  # a sum with NaN is NaN, and all else is finite
    count, total = int(missing.sum()), len(missing)
    if not count:
        return line.values, ()
    if np.isnan(line.values).all(axis=0).any():
        raise TableError(f"{sheet.path}: a column that was asked for has no value at all")
    found = f"{count} of {total} steps have no value, the first {_place(line, int(missing.argmax()))}"
    if fill == "none" or (fill is None and count > _MOST_MISSING * total):
        why = "" if fill == "none" else ", which is more than one in ten"
        raise TableError(f"{sheet.path}: {found}{why}: say how to fill them with --fill {', '.join(_SAID)}")
    way = fill or "last"
    whole = np.column_stack([_filled(column, way) for column in line.values.T])
    return whole, (f"{found}: each {_SAID[way]} (--fill)",)


def _means(values: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """The means of the rows of each group, float64 [groups,F], of those that are there; NaN where none is."""
    there = ~np.isnan(values)
    sums, counts = np.zeros((2, int(group[-1]) + 1, values.shape[1]))
    np.add.at(sums, group, np.where(there, values, 0.0))
    np.add.at(counts, group, there)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _filled(column: NDArray[np.float64], way: str) -> NDArray[np.float64]:
    """A column without gaps; what lies before its first value can only repeat that, whatever the way but zero."""
    there = ~np.isnan(column)
    if way == "zero":
        return np.where(there, column, 0.0)
    steps = np.arange(len(column))
    if way == "linear":
        return np.interp(steps, steps[there], column[there])
    last = np.maximum.accumulate(np.where(there, steps, there.argmax()))
    return column[last]


def _place(line: Timeline, index: int) -> str:
    if line.labels and line.labels[index]:
        return f"at {line.labels[index]}"
    before = next((label for label in reversed(line.labels[:index]) if label), "")
    return f"after {before}" if before else f"at step {index + 1}"


def _even(times: Times) -> Sequence[datetime.datetime]:
    """The moments, or what the clocks showed where that is more even: days are, by clocks that change twice a year."""
    if not times.walls:
        return times.moments
    return max((times.moments, times.walls), key=lambda moments: regularity(sorted(set(moments))))


def _order_note(keys: NDArray[np.float64]) -> list[str]:
    steps = np.diff(keys)
    if (steps >= 0).all():
        return []
    order = "came newest first" if (steps <= 0).all() else "were not in the order of their times"
    return [f"the rows {order} and were sorted"]


def _doubled_note(
    sheet: Sheet, position: int, doubled: int, rows: NDArray[np.intp], order: NDArray[np.intp]
) -> list[str]:
    if not doubled:
        return []
    again = int(next(row for row, known in zip(order, np.isin(order, rows), strict=True) if not known))
    text = sheet.texts(position)[again]
    if doubled > _MOST_DOUBLED * len(order):
        raise TableError(
            f"{sheet.where(again, position)}: {text} was there before, and {doubled} of {len(order)} rows repeat a "
            "time: expected one row a time; of a file of several series, --series takes one"
        )
    return [f"{doubled} of {len(order)} rows repeat a time, {text} for one: of the rows of one time the mean is taken"]


def _gaps(sheet: Sheet, position: int, axis: Axis, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many steps lie between neighbours, int64 [N-1]."""
    steps = axis.steps()
    whole = np.maximum(steps.round(), 1)
    off = np.flatnonzero(np.abs(steps - whole) > _ROUNDING)
    if not len(off) and whole.sum() > _MOST_SPREAD * len(rows):
        off = np.array([whole.argmax()])
    if len(off):
        texts = sheet.texts(position)
        before, after = texts[rows[off[0]]], texts[rows[off[0] + 1]]
        raise TableError(
            f"{sheet.where(rows[off[0] + 1], position)}: expected a time {span(axis.step, axis.unit)} after {before}, "
            f"as most are, or a whole number of such steps, got {after}, "
            f"{span(steps[off[0]] * axis.step, axis.unit)} after it"
        )
    return whole.astype(np.int64)
