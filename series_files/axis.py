"""Times as numbers whose differences are steps: months, business days, seconds; and the season that a step suggests."""

import datetime
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SECONDS_OF_A_DAY = 86_400
_DAY = float(_SECONDS_OF_A_DAY)
_WORKDAYS = range(5)
# Steps in a season by what one step is: the year for months, quarters and weeks, the week for days, the day for hours
_SEASONS = {
    ("months", 1.0): 12,
    ("months", 3.0): 4,
    ("seconds", 7 * _DAY): 52,
    ("seconds", _DAY): 7,
    ("business days", 1.0): 5,
    ("seconds", 3600.0): 24,
    ("seconds", 1800.0): 48,
    ("seconds", 900.0): 96,
}


@dataclass(frozen=True, slots=True)
class Axis:
    """Times as numbers, in one unit.

    Attributes:
        unit: `months`, `business days`, `seconds`, or `units` of plain numbers.
        positions: float64 [N], ascending.
    """

    unit: str
    positions: NDArray[np.float64]

    @property
    def step(self) -> float:
        """The commonest distance between neighbours, the smallest of several; 1 where there is one position."""
        if len(self.positions) < 2:
            return 1.0
        distances = np.diff(self.positions)
        rounded = (distances / np.median(distances)).round(4)
        different, counts = np.unique(rounded, return_counts=True)
        return float(np.median(distances[rounded == different[counts.argmax()]]))

    @property
    def season(self) -> int:
        """Steps in a season, as `_SEASONS` has them; else 1."""
        return _SEASONS.get((self.unit, self.step), 1) if len(self.positions) > 1 else 1

    def steps(self) -> NDArray[np.float64]:
        """The distances between neighbours in steps, float64 [N-1]; whole but for times that are off."""
        return np.diff(self.positions) / self.step


def axis_of(moments: Sequence[datetime.datetime]) -> Axis:
    """Finds the unit in which times are evenly spaced, if they are.

    Months where all times are the same day of a month, or the last; business days where none is on a weekend and
    weekends lie between them; else seconds.

    Args:
        moments: ascending, all different.
    """
    if len(moments) > 1 and _are_months(moments):
        return Axis("months", np.array([moment.year * 12.0 + moment.month for moment in moments]))
    seconds = Axis("seconds", np.array([_in_utc(moment).timestamp() for moment in moments]))
    if _are_business_days(moments, seconds):
        days = np.array([moment.date() for moment in moments], "datetime64[D]")
        return Axis("business days", np.busday_count(days[0], days).astype(np.float64))
    return seconds


def regularity(moments: Sequence[datetime.datetime]) -> float:
    """Which share of the distances between ascending times is the commonest one, 0 to 1."""
    steps = axis_of(moments).steps()
    return float((np.abs(steps - 1) < 1e-6).mean()) if len(steps) else 1.0


def span(size: float, unit: str) -> str:
    """Returns a distance as people say it: seconds as hours or days where they are whole ones."""
    for larger, seconds in (("days", _SECONDS_OF_A_DAY), ("hours", 3600)):
        if unit == "seconds" and size % seconds == 0:
            size, unit = size / seconds, larger
    return f"{size:g} {unit if not math.isclose(size, 1) else unit.removesuffix('s')}"


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    """A moment without a zone is taken as UTC, and not as of the zone of this machine."""
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _are_months(moments: Sequence[datetime.datetime]) -> bool:
    """Returns whether all lie on the same day of a month, or each on the last day of its own."""
    if len({(moment.day, moment.time()) for moment in moments}) == 1:
        return True
    last_days = all((moment + datetime.timedelta(days=1)).day == 1 for moment in moments)
    return last_days and len({(moment.year, moment.month) for moment in moments}) == len(moments)


def _are_business_days(moments: Sequence[datetime.datetime], seconds: Axis) -> bool:
    if seconds.step != _DAY or not all(moment.weekday() in _WORKDAYS for moment in moments):
        return False
    weekends = (after - before for before, after in itertools.pairwise(moments) if after.weekday() == 0)
    return any(passed == datetime.timedelta(days=3) for passed in weekends)
