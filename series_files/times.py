"""Reads times in the forms in which files have them, and finds out which form it is."""

import datetime
import functools
import itertools
import math
import re
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from series_files.axis import regularity
from series_files.errors import TableError
from series_files.reading import Reading
from series_files.sheet import Sheet

_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_QUARTER = re.compile(r"(?P<year>[0-9]{4})[ -]?[qQ](?P<quarter>[1-4])|[qQ](?P<first>[1-4])[ -/]?(?P<last>[0-9]{4})")
_WEEK = re.compile(r"[0-9]{4}-?W[0-9]{2}")
_YEARS = range(1700, 2100)  # of dates that are written like numbers
_DATES = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d.%m.%y"),
    *("%Y/%m/%d", "%Y.%m.%d", "%Y/%m", "%m/%Y", "%m.%Y", "%m-%Y"),
    *("%b %Y", "%B %Y", "%b-%y", "%b-%Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y"),
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_ASK = "(--date-format)"

Moments = list[datetime.datetime]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a column, one a row.

    Attributes:
        moments: with a zone; empty where the times are plain numbers.
        numbers: where they are; else empty.
        walls: the moments as the clocks there show them; empty where that is the same.
        notes: how they were read, where that was a guess.
    """

    moments: Sequence[datetime.datetime] = ()
    numbers: Sequence[float] = ()
    walls: Sequence[datetime.datetime] = ()
    notes: tuple[str, ...] = ()


def read_times(sheet: Sheet, position: int, reading: Reading) -> Times:
    """Reads a column of times.

    Args:
        sheet: the file.
        position: of the column.
        reading: `date_format` and `time_zone` overrule what is found out.

    Raises:
        TableError: a cell is no time, or the times can be read in two ways.
    """
    texts = sheet.texts(position)
    if reading.date_format is not None:
        form = reading.date_format
        moments = [_by_format(text, form) for text in texts]
        if None in moments:
            index = moments.index(None)
            raise TableError(f"{sheet.where(index, position)}: expected a time like {form}, got {texts[index]!r}")
        return _zoned(sheet, [moment for moment in moments if moment], reading, ())
    if all(_is_number(text) for text in texts):
        found = _of_digits(texts)
        if found is None:
            return Times(numbers=[float(text) for text in texts])
        moments_of_digits, note = found
        return _zoned(sheet, moments_of_digits, reading, (note,))
    if (moments_in_words := _all(texts, _iso) or _all(texts, _quarter)) is not None:
        return _zoned(sheet, moments_in_words, reading, ())
    moments_by_format, note = _guessed(sheet, position, texts)
    return _zoned(sheet, moments_by_format, reading, (note,))


def looks_like_times(texts: Sequence[str]) -> bool:
    """Whether a column is one of times: all dates of some form, or years or numbers that only ascend or descend."""
    if not all(texts):
        return False
    if all(_is_number(text) for text in texts):
        if _of_digits(texts) is not None:
            return True
        years = [float(text) for text in texts]
        steps = {after - before for before, after in itertools.pairwise(years)}
        return len(steps) == 1 and steps <= {1.0, -1.0} and all(year in _YEARS for year in years)
    return any(True for _ in _fitting(texts)) or (_all(texts, _iso) or _all(texts, _quarter)) is not None


def _guessed(sheet: Sheet, position: int, texts: Sequence[str]) -> tuple[Moments, str]:
    """Tries the formats; of several that fit, the one by which the times are evenly spaced."""
    fitting: dict[tuple[datetime.datetime, ...], str] = {}
    for form, moments in _fitting(texts):
        fitting.setdefault(tuple(moments), form)
    if not fitting:
        index = _stranger(texts)
        raise TableError(
            f"{sheet.where(index, position)}: expected a number, or a date like 2024-01, 2024-01-31 or 31/01/2024, "
            f"as the others are, got {texts[index]!r}; another form can be said with --date-format"
        )
    even = {moments: regularity(sorted(set(moments))) for moments in fitting}
    best = [moments for moments in fitting if even[moments] == max(even.values())]
    if len(best) > 1:
        one, other = (moments[0].strftime("%-d %B %Y") for moments in best[:2])
        forms = " or ".join(f"--date-format {fitting[moments]!r}" for moments in best)
        raise TableError(f"{sheet.where(0, position)}: {texts[0]!r} may be {one} or {other}: say {forms}")
    note = f"times are read as {fitting[best[0]]}, {texts[0]!r} as {best[0][0].strftime('%-d %B %Y')} {_ASK}"
    return list(best[0]), note + (", by which they are evenly spaced" if len(fitting) > 1 else "")


def _fitting(texts: Sequence[str]) -> Iterable[tuple[str, Moments]]:
    """All formats that fit all texts, with what the texts are by them."""
    for date in _DATES:
        for clock in _CLOCKS:
            form = date + clock
            if (moments := _all(texts, functools.partial(_by_format, form=form))) is not None:
                yield form, moments


def _stranger(texts: Sequence[str]) -> int:
    """The index of the text that most probably keeps the others from being times."""
    readers: list[Callable[[str], object]] = [_iso, _quarter, lambda text: _is_number(text) or None]
    readers += [functools.partial(_by_format, form=form) for form in _DATES]
    first = [index for reader in readers if (index := _first_failure(texts, reader)) > 0]
    return max(first, default=0)


def _first_failure(texts: Sequence[str], reader: Callable[[str], object]) -> int:
    return next((index for index, text in enumerate(texts) if reader(text) is None), 0)


def _all(texts: Sequence[str], reader: Callable[[str], datetime.datetime | None]) -> Moments | None:
    """All texts as one reader reads them; None where it cannot read one."""
    moments = []
    for text in texts:
        moment = reader(text)
        if moment is None:
            return None
        moments.append(moment)
    return moments


def _iso(text: str) -> datetime.datetime | None:
    """A date or time in ISO 8601; a month or a week is its first day."""
    if _MONTH.fullmatch(text):
        text += "-01"
    elif _WEEK.fullmatch(text):
        text += "-1" if "-" in text else "1"
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _quarter(text: str) -> datetime.datetime | None:
    """The first day of a quarter: 1990Q1, 1990-Q1, Q1 1990."""
    found = _QUARTER.fullmatch(text)
    if not found:
        return None
    year, quarter = found["year"] or found["last"], found["quarter"] or found["first"]
    return datetime.datetime(int(year), 3 * int(quarter) - 2, 1)


def _by_format(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, form)
    except ValueError:
        return None


def _of_digits(texts: Sequence[str]) -> tuple[Moments, str] | None:
    """Dates and times that are written as whole numbers; None where they are none."""
    sizes = {len(text) for text in texts}
    if len(sizes) != 1 or not all(text.isdecimal() for text in texts):
        return None
    size, first = sizes.pop(), texts[0]
    if size in {6, 8}:
        form = "%Y%m" if size == 6 else "%Y%m%d"
        moments = _all(texts, functools.partial(_by_format, form=form))
        if moments is None or not all(moment.year in _YEARS for moment in moments):
            return None
        return moments, f"times are read as {form}, {first} as {moments[0]:%Y-%m-%d} {_ASK}"
    if size in {10, 13} and texts[0][0] != "0":
        unit, scale = ("seconds", 1) if size == 10 else ("milliseconds", 1000)
        moments = [datetime.datetime.fromtimestamp(int(text) / scale, datetime.UTC) for text in texts]
        if not all(moment.year in _YEARS for moment in moments):
            return None
        return moments, f"times are read as Unix {unit}, {first} as {moments[0]:%Y-%m-%d %H:%M:%S} UTC {_ASK}"
    return None


def _zoned(sheet: Sheet, moments: Moments, reading: Reading, notes: tuple[str, ...]) -> Times:
    """Gives times without a zone the one that was said, or else UTC, by which every day has 24 hours."""
    aware = {moment.tzinfo is not None for moment in moments}
    if len(aware) > 1:
        raise TableError(f"{sheet.path}: expected times with a zone or without, got both")
    if aware == {True}:
        offsets = {moment.utcoffset() for moment in moments}
        walls = [moment.replace(tzinfo=datetime.UTC) for moment in moments] if len(offsets) > 1 else []
        return Times(moments, walls=walls, notes=notes)
    utc = [moment.replace(tzinfo=datetime.UTC) for moment in moments]
    if reading.time_zone is None:
        return Times(utc, notes=notes)
    try:
        zone = zoneinfo.ZoneInfo(reading.time_zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise TableError(f"--time-zone: expected a name like Europe/Berlin, got {reading.time_zone!r}") from error
    return Times(_local(moments, zone), walls=utc, notes=notes)


def _local(moments: Moments, zone: zoneinfo.ZoneInfo) -> Moments:
    """Moments of a zone; of an hour that summer time repeats, what comes second in time is of the second."""
    newest_first = moments[0] > moments[-1]
    seen: set[datetime.datetime] = set()
    local = []
    for moment in reversed(moments) if newest_first else moments:
        # In UTC: moments of one zone are compared by their clocks.
        local.append(moment.replace(tzinfo=zone, fold=int(moment in seen)).astimezone(datetime.UTC))
        seen.add(moment)
    return local[::-1] if newest_first else local


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
