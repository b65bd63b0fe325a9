import datetime
import zoneinfo
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from series_files.errors import TableError
from series_files.reading import Reading
from series_files.table import Table, read_table


def _table(folder: Path, times: list[str], values: Sequence[float] | None = None, **reading: Any) -> Table:
    cells = values or range(len(times))
    path = folder / "series.csv"
    path.write_text("when;x\n" + "".join(f"{time};{cell}\n" for time, cell in zip(times, cells, strict=True)))
    return read_table(path, Reading(columns=("x",), time_column="when", delimiter=";", **reading))


def _values(table: Table) -> list[float]:
    return [float(value) for value in table.values[:, 0]]


@pytest.mark.parametrize(
    ("times", "period"),
    [
        (("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"), 12),
        (("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"), 12),
        (("2023-11", "2023-12", "2024-01"), 12),
        (("2023-01-15", "2023-04-15", "2023-07-15", "2023-10-15"), 4),
        (("1990Q1", "1990Q2", "1990Q3"), 4),
        (("Q3 1990", "Q4 1990", "Q1 1991"), 4),
        (("2023-12-31", "2024-01-01", "2024-01-02"), 7),
        (("2024-01-01", "2024-01-08", "2024-01-15"), 52),
        (("2024-W01", "2024-W02", "2024-W03"), 52),
        (("2024-03-31T00:00", "2024-03-31T01:00", "2024-03-31T02:00", "2024-03-31T03:00"), 24),
        (("2024-03-31T00:00", "2024-03-31T00:30", "2024-03-31T01:00"), 48),
        (("2024-03-31T00:00", "2024-03-31T00:15", "2024-03-31T00:30"), 96),
        (("2000-01-01", "2001-01-01", "2002-01-01"), 1),
        (("202311", "202312", "202401"), 12),
        (("20231231", "20240101", "20240102"), 7),
        (("1704067200", "1704070800", "1704074400"), 24),
        (("1704067200000", "1704070800000", "1704074400000"), 24),
        (("31.12.2023", "01.01.2024", "02.01.2024"), 7),
        (("12/30/2023", "12/31/2023", "01/01/2024"), 7),
        (("31/12/23 23:00", "01/01/24 00:00", "01/01/24 01:00"), 24),
        (("Nov 2023", "Dec 2023", "Jan 2024"), 12),
        (("11/2023", "12/2023", "01/2024"), 12),
        (("2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09"), 5),
        (("1700", "1701", "1702"), 1),
        (("0.1", "0.2", "0.3", "0.4"), 1),
        (("2024-01-01",), 1),
    ],
)
def test_times_of_many_forms_are_read_and_suggest_the_season(
    tmp_path: Path, times: tuple[str, ...], period: int
) -> None:
    table = _table(tmp_path, list(times))
    assert table.period == period
    assert _values(table) == list(range(len(times)))


def test_a_guess_is_told(tmp_path: Path) -> None:
    assert _table(tmp_path, ["202311", "202312"]).notes == (
        "times are read as %Y%m, 202311 as 2023-11-01 (--date-format)",
    )
    [note] = _table(tmp_path, ["31/12/2023", "01/01/2024"]).notes
    assert note == "times are read as %d/%m/%Y, '31/12/2023' as 31 December 2023 (--date-format)"
    assert _table(tmp_path, ["2024-01-01", "2024-01-02"]).notes == ()


def test_of_two_readings_the_even_one_is_taken(tmp_path: Path) -> None:
    months = [f"01/{month:02d}/{year}" for year in (2009, 2010) for month in range(1, 13)]
    table = _table(tmp_path, months)
    assert table.period == 12
    assert "%d/%m/%Y" in table.notes[0]
    assert "by which they are evenly spaced" in table.notes[0]


def test_two_readings_that_are_both_even_are_asked_for(tmp_path: Path) -> None:
    times = ["01/02/2009", "02/02/2009"]
    with pytest.raises(TableError, match=r"'01/02/2009' may be 1 February 2009 or 2 January 2009: say --date-format"):
        _table(tmp_path, times)
    assert _table(tmp_path, times, date_format="%d/%m/%Y").period == 7
    assert _table(tmp_path, times, date_format="%m/%d/%Y").period == 12


@pytest.mark.parametrize(
    ("times", "reading", "message"),
    [
        (("1", "2", "soon"), {}, r"line 4.*expected a number, or a date like .*got 'soon'"),
        (("2024-01-01", "soon"), {}, r"line 3, column 'when'.*got 'soon'"),
        (("01/01/2024", "soon"), {"date_format": "%d/%m/%Y"}, r"line 3.*expected a time like %d/%m/%Y, got 'soon'"),
        (("2024-01-01T00:00Z", "2024-01-01T01:00"), {}, r"expected times with a zone or without, got both"),
        (("2024-01-01", "2024-01-02"), {"time_zone": "Mars/North"}, r"--time-zone: expected a name like Europe/Berlin"),
        (("1", "2", "3", "4.5"), {}, r"line 5.*1 unit after 3, as most are.*got 4.5, 1.5 units after it"),
        (("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04T12:00"), {}, r"line 5.*1 day after 2024-01-03"),
        (("2024-01-01", "2024-01-02", "2024-01-03", "9999-01-01"), {}, r"line 5.*got 9999-01-01"),
        (
            ("2024-01-01", "2024-02-01", "2024-04-01"),
            {},
            r"1 of 4 steps have no value, the first after 2024-02-01, which",
        ),
        (("2024-01-01", "2024-01-01", "2024-01-02"), {}, r"line 3.*was there before, and 1 of 3 rows repeat a time"),
    ],
)
def test_times_that_cannot_be_made_even_are_refused_with_their_place(
    tmp_path: Path, times: tuple[str, ...], reading: dict[str, Any], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        _table(tmp_path, list(times), **reading)


_DAYS = [f"2024-01-{day:02d}" for day in range(1, 31)]


def test_rows_are_sorted_by_time_and_that_is_told(tmp_path: Path) -> None:
    table = _table(tmp_path, _DAYS[::-1])
    assert _values(table) == list(range(29, -1, -1))
    assert table.notes == ("the rows came newest first and were sorted",)
    mixed = [*_DAYS[10:], *_DAYS[:10]]
    assert _table(tmp_path, mixed).notes == ("the rows were not in the order of their times and were sorted",)


@pytest.mark.parametrize(
    ("fill", "expected", "said"),
    [
        (None, [1, 1, 1, 2], "repeats the last one before it"),
        ("last", [1, 1, 1, 2], "repeats the last one before it"),
        (
            "linear",
            [1, 4 / 3, 5 / 3, 2],
            "is on the line between its neighbours, the later one too, so errors of forecasts look ahead",
        ),
        ("zero", [1, 0, 0, 2], "is 0"),
    ],
)
def test_missing_steps_are_filled_by_a_rule_that_is_told(
    tmp_path: Path, fill: str | None, expected: list[float], said: str
) -> None:
    table = _table(tmp_path, [*_DAYS[:2], *_DAYS[4:]], fill=fill)
    assert len(table.values) == 30
    assert _values(table)[1:5] == pytest.approx(expected)
    assert table.notes == (f"2 of 30 steps have no value, the first after 2024-01-02: each {said} (--fill)",)


def test_missing_steps_can_be_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"2 of 30 steps have no value.*say how to fill them with --fill last"):
        _table(tmp_path, [_DAYS[0], *_DAYS[3:]], fill="none")


def test_of_a_time_that_comes_twice_the_mean_is_taken(tmp_path: Path) -> None:
    table = _table(tmp_path, [*_DAYS, _DAYS[3]], [*range(30), 9])
    assert _values(table)[2:5] == [2, 6, 4]
    assert "1 of 31 rows repeat a time, 2024-01-04 for one: of the rows of one time the mean is taken" in table.notes


def _hours(first: int, last: int, day: str) -> list[str]:
    return [f"{day} {hour:02d}:00" for hour in range(first, last)]


_AUTUMN = [*_hours(0, 24, "2024-10-26"), *_hours(0, 3, "2024-10-27"), *_hours(2, 24, "2024-10-27")]
_SPRING = [*_hours(0, 24, "2024-03-30"), *_hours(0, 2, "2024-03-31"), *_hours(3, 24, "2024-03-31")]


@pytest.mark.parametrize("times", [_AUTUMN, _SPRING])
@pytest.mark.parametrize("turned", [1, -1])
def test_clocks_that_change_are_even_once_their_zone_is_known(tmp_path: Path, times: list[str], turned: int) -> None:
    expected = list(range(len(times)))
    table = _table(tmp_path, times[::turned], expected[::turned], time_zone="Europe/Berlin")
    assert _values(table) == expected
    assert table.period == 24
    assert not any("no value" in note or "repeat" in note for note in table.notes)


def test_days_by_clocks_that_change_are_even(tmp_path: Path) -> None:
    times = [f"2024-10-{day:02d}T00:00+0{2 if day <= 27 else 1}:00" for day in range(20, 32)]
    table = _table(tmp_path, times)
    assert _values(table) == list(range(12))
    assert table.period == 7
    plain = [f"2024-10-{day:02d}" for day in range(20, 32)]
    assert _table(tmp_path, plain, time_zone="Europe/Berlin").period == 7


def test_clocks_of_an_unknown_zone_are_evened_out_and_that_is_told(tmp_path: Path) -> None:
    start, zone = datetime.datetime(2024, 3, 1, tzinfo=datetime.UTC), zoneinfo.ZoneInfo("Europe/Berlin")
    hours = [(start + datetime.timedelta(hours=hour)).astimezone(zone) for hour in range(24 * 250)]
    times = [f"{hour:%Y-%m-%d %H:%M}" for hour in hours]
    table = _table(tmp_path, times)
    assert len(table.values) == 24 * 250
    [doubled, hint, missing] = table.notes
    assert "1 of 6000 rows repeat a time, 2024-10-27 02:00 for one" in doubled
    assert "--time-zone" in hint
    assert "1 of 6000 steps have no value, the first after 2024-03-31 01:00" in missing
    assert not _table(tmp_path, times, time_zone="Europe/Berlin").notes
