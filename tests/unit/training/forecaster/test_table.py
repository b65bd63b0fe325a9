from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.forecaster.data import load
from training.forecaster.table import Table, read_table


def _table(folder: Path, text: str, *columns: str, time: str | None = None) -> Table:
    path = folder / "series.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, columns=columns, time_column=time)


def test_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    table = _table(tmp_path, "\ufeffa, b,c\n1,2,3\n\n4,5e1,-6\n", "c", "b")
    np.testing.assert_array_equal(table.values, [[3, 2], [-6, 50]])
    assert table.columns == ("c", "b")
    assert table.period == 1


def _times(*times: str) -> str:
    return "when,x\n" + "".join(f"{time},1\n" for time in times)


@pytest.mark.parametrize(
    ("times", "period"),
    [
        (("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"), 12),
        (("2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"), 12),
        (("2023-11", "2023-12", "2024-01"), 12),
        (("2023-01-15", "2023-04-15", "2023-07-15", "2023-10-15"), 4),
        (("2023-12-31", "2024-01-01", "2024-01-02"), 7),
        (("2024-01-01", "2024-01-08", "2024-01-15"), 52),
        (("2024-03-31T00:00", "2024-03-31T01:00", "2024-03-31T02:00", "2024-03-31T03:00"), 24),
        (("2000-01-01", "2001-01-01", "2002-01-01"), 1),
        (("1700", "1701", "1702"), 1),
        (("0.1", "0.2", "0.3", "0.4"), 1),
        (("2024-01-01",), 1),
    ],
)
def test_the_distance_of_times_suggests_the_season(tmp_path: Path, times: tuple[str, ...], period: int) -> None:
    assert _table(tmp_path, _times(*times), "x", time="when").period == period


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("1", "2", "2"), r"line 4, column 'when': expected a time after 2, got 2"),
        (("2024-01-02", "2024-01-01"), r"line 3, column 'when': expected a time after 2024-01-02"),
        (("2024-01-01", "2024-02-01", "2024-04-01", "2024-05-01"), r"line 4.*1 month after 2024-02-01.*2 months"),
        (("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"), r"line 5.*1 day after 2024-01-03.*2 days"),
        (("1", "2", "3", "5"), r"line 5.*1 unit after 3.*got 5, 2 units"),
        (("1", "2", "soon"), r"line 2.*expected a number, or a date like 2024-01 or 2024-01-31, got '1'"),
        (("2024-01-01", "soon"), r"line 3.*got 'soon'"),
    ],
)
def test_times_out_of_order_or_with_gaps_are_refused_with_their_line(
    tmp_path: Path, times: tuple[str, ...], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        _table(tmp_path, _times(*times), "x", time="when")


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1,2\n", (), r"name the column to forecast with --column; the file has 'a', 'b'"),
        ("a,b\n1,2\n", ("x",), r"has no column 'x'; it has 'a', 'b'"),
        ("a,a\n1,2\n", ("a",), r"has more than one column 'a'"),
        ("a,b\n1,2\n", ("a", "a"), r"expected different columns"),
        ("a\n1\n\n?\n", ("a",), r"line 4, column 'a': expected a finite number, got '\?'"),
        ("a,b\n1,\n", ("b",), r"line 2, column 'b': expected a finite number, got ''"),
        ("a\nnan\n", ("a",), r"expected a finite number, got 'nan'"),
        ("a\n-inf\n", ("a",), r"expected a finite number, got '-inf'"),
        ("a,b\n1,2\n3\n", ("a",), r"line 3: expected 2 fields, got 1"),
        ("a,b\n", ("a",), r"got 0 lines of values"),
        ("", ("a",), r"got 0 lines of values"),
        ('a\n"1\n', ("a",), r"cannot be read as CSV"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    tmp_path: Path, text: str, columns: tuple[str, ...], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        _table(tmp_path, text, *columns)


def test_a_missing_time_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no column 'when'"):
        _table(tmp_path, "a\n1\n", "a", time="when")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_bytes(b"a\n\xff\xfe\n")
    with pytest.raises(TrainingError, match="UTF-8"):
        read_table(path, columns=("a",), time_column=None)


@pytest.mark.parametrize(("name", "length", "period"), [("sunspots", 309, 11), ("co2", 526, 12), ("elnino", 732, 12)])
def test_the_named_series_are_whole(name: str, length: int, period: int) -> None:
    data = load(name, columns=(), time_column=None)
    assert data.values.shape == (length, 1)
    assert np.isfinite(data.values).all()
    assert data.period == period
    assert data.sha256() == load(name, columns=(), time_column=None).sha256()
