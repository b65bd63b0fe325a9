"""Files of several series in long form, a row for each series and time: found out, and one of them taken."""

import dataclasses
import math
from collections import Counter
from collections.abc import Collection, Sequence

from series_files.decimals import number
from series_files.errors import TableError
from series_files.sheet import Sheet, is_missing, listed

_MOST_NAMED = 5


def one_series(sheet: Sheet, wanted: str, taken: Collection[int]) -> Sheet:
    """Takes the rows of one series.

    Args:
        sheet: the file.
        wanted: the name of the series, or COLUMN=NAME.
        taken: the positions of the columns that are values or times.

    Raises:
        TableError: no column, or more than one, has that name in it.
    """
    column, _, name = wanted.rpartition("=")
    columns = [sheet.position(column)] if column else _named(sheet, taken)
    holding = [position for position in columns if name in sheet.texts(position)]
    if len(holding) != 1:
        names = "; ".join(f"{sheet.header[position]!r} has {_some(sheet.texts(position))}" for position in columns)
        how = "more than one column has it: say --series COLUMN=NAME" if holding else names or "no column names any"
        raise TableError(f"{sheet.path}: --series: expected the name of one series, got {wanted!r}; {how}")
    cells = sheet.texts(holding[0])
    rows = [row for row, cell in zip(sheet.rows, cells, strict=True) if cell == name]
    note = f"{len(rows)} of {len(cells)} rows are of the series {name!r} of {sheet.header[holding[0]]!r}"
    return dataclasses.replace(sheet, rows=rows, notes=(*sheet.notes, note))


def check_single(sheet: Sheet, time: int, taken: Collection[int]) -> None:
    """Refuses a file in which times repeat and another column tells the rows of one time apart.

    Args:
        sheet: the file.
        time: the position of the column of times.
        taken: those of the columns that are values or times.

    Raises:
        TableError: it has several series.
    """
    times = sheet.texts(time)
    most = max(Counter(times).values())
    if most == 1:
        return
    words = set(_named(sheet, taken))
    for position in range(len(sheet.header)):
        if position in taken:
            continue
        cells = sheet.texts(position)
        different = len(set(cells))
        few = 1 < different <= (len(cells) // 2 if position in words else 2 * most)
        if few and len(set(zip(times, cells, strict=True))) == len(cells):
            raise TableError(
                f"{sheet.path}: times repeat, and column {sheet.header[position]!r} tells their rows apart: this looks "
                f"like {different} series ({_some(cells)}): take one with --series NAME"
            )


def note_on_names(sheet: Sheet, taken: Collection[int]) -> tuple[str, ...]:
    """A sentence where rows are named, and nothing else tells whether they are of one series."""
    for position in _named(sheet, taken):
        cells = sheet.texts(position)
        if 1 < len(set(cells)) <= len(cells) // 2:
            return (
                f"column {sheet.header[position]!r} names {len(set(cells))} things ({_some(cells)}), and all rows are "
                "taken as one series, in their order (--series NAME takes those of one)",
            )
    return ()


def _named(sheet: Sheet, taken: Collection[int]) -> list[int]:
    """The columns of words."""
    return [
        position
        for position in range(len(sheet.header))
        if position not in taken and not all(_is_value(text) for text in sheet.texts(position))
    ]


def _is_value(text: str) -> bool:
    return is_missing(text) or not all(math.isnan(number(text, sign)) for sign in ".,")


def _some(cells: Sequence[str]) -> str:
    names = list(dict.fromkeys(cells))
    return listed(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
