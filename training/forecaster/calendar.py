"""Times of a series: their order, their even spacing, and the season that the spacing suggests."""

import datetime
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

_DAY = 86_400.0
# Steps in a season by what one step is: the year for months, quarters and weeks, the week for days, the day for hours
_SEASONS = {
    ("months", 1): 12,
    ("months", 3): 4,
    ("seconds", 7 * _DAY): 52,
    ("seconds", _DAY): 7,
    ("seconds", 3600.0): 24,
}


@dataclass(frozen=True, slots=True)
class _Axis:
    """Times as numbers whose differences are the steps between them, in one unit."""

    unit: str
    positions: list[float]


def season_of(path: Path, column: str, times: Sequence[tuple[int, str]]) -> int:
    """Checks that times follow each other evenly, and guesses the season.

    The step is the commonest distance between neighbours: in months where all times are the same day of a month,
    else in seconds; in plain numbers where they are numbers.

    Args:
        path: of the file, for messages.
        column: the column's name, for messages.
        times: line number and text, in the order of the file.

    Returns:
        Steps in a season: 12 for months, 4 for quarters, 52 for weeks, 7 for days, 24 for hours, else 1.

    Raises:
        TrainingError: a time cannot be read, is not after the one before, or leaves a gap.
    """
    axis = _axis(path, column, times)
    steps = [after - before for before, after in zip(axis.positions, axis.positions[1:], strict=False)]
    if not steps:
        return 1
    for step, (_, before), (line, after) in zip(steps, times, times[1:], strict=False):
        if step <= 0:
            raise TrainingError(f"{path}, line {line}, column {column!r}: expected a time after {before}, got {after}")
    usual = Counter(steps).most_common(1)[0][0]
    for step, (_, before), (line, after) in zip(steps, times, times[1:], strict=False):
        if not math.isclose(step, usual, rel_tol=1e-6):
            raise TrainingError(
                f"{path}, line {line}, column {column!r}: expected a time {usual:g} {axis.unit} after {before}, "
                f"as most are, got {after}, {step:g} {axis.unit} after it"
            )
    return _SEASONS.get((axis.unit, usual), 1)


def _axis(path: Path, column: str, times: Sequence[tuple[int, str]]) -> _Axis:
    if all(_is_number(text) for _, text in times):
        return _Axis("units", [float(text) for _, text in times])
    moments = [_moment(path, column, line, text) for line, text in times]
    if len({(moment.day, moment.time()) for moment in moments}) == 1 and len(moments) > 1:
        return _Axis("months", [moment.year * 12.0 + moment.month for moment in moments])
    return _Axis("seconds", [moment.timestamp() for moment in moments])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _moment(path: Path, column: str, line: int, text: str) -> datetime.datetime:
    """A date or time in ISO 8601; without a zone it counts as UTC, which has no summer time to make days uneven."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise TrainingError(
            f"{path}, line {line}, column {column!r}: expected a number or a date like 2024-01-31, got {text!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
