"""Times of a series: their order, their even spacing, and the season that the spacing suggests."""

import datetime
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

_DAY = 86_400.0
# Steps in a season by what one step is: the year for months, quarters and weeks, the week for days, the day for hours
_SECONDS_OF_A_DAY = 86_400
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
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
                f"{path}, line {line}, column {column!r}: expected a time {_span(usual, axis.unit)} after {before}, "
                f"as most are, got {after}, {_span(step, axis.unit)} after it"
            )
    return _SEASONS.get((axis.unit, usual), 1)


def _axis(path: Path, column: str, times: Sequence[tuple[int, str]]) -> _Axis:
    if all(_is_number(text) for _, text in times):
        return _Axis("units", [float(text) for _, text in times])
    moments = [_moment(path, column, line, text) for line, text in times]
    if len(moments) > 1 and _are_months(moments):
        return _Axis("months", [moment.year * 12.0 + moment.month for moment in moments])
    return _Axis("seconds", [moment.timestamp() for moment in moments])


def _are_months(moments: Sequence[datetime.datetime]) -> bool:
    """Returns whether all lie on the same day of a month, or each on the last day of its own."""
    if len({(moment.day, moment.time()) for moment in moments}) == 1:
        return True
    last_days = all((moment + datetime.timedelta(days=1)).day == 1 for moment in moments)
    return last_days and len({(moment.year, moment.month) for moment in moments}) == len(moments)


def _span(size: float, unit: str) -> str:
    """Returns a distance as people say it: seconds as days where they are whole ones."""
    if unit == "seconds" and size % _SECONDS_OF_A_DAY == 0:
        size, unit = size / _SECONDS_OF_A_DAY, "days"
    return f"{size:g} {unit if size != 1 else unit.removesuffix('s')}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _moment(path: Path, column: str, line: int, text: str) -> datetime.datetime:
    """A date or time in ISO 8601, or a month; without a zone it is UTC: summer time would make days uneven."""
    try:
        moment = datetime.datetime.fromisoformat(f"{text}-01" if _MONTH.fullmatch(text) else text)
    except ValueError as error:
        raise TrainingError(
            f"{path}, line {line}, column {column!r}: expected a number, or a date like 2024-01 or 2024-01-31, "
            f"got {text!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
