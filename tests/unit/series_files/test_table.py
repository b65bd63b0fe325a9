from pathlib import Path
from typing import Any

import numpy as np
import pytest

from series_files.errors import TableError
from series_files.reading import Reading
from series_files.table import Table, read_table


def _table(folder: Path, text: str, *columns: str, time: str | None = None, **reading: Any) -> Table:
    path = folder / "series.csv"
    path.write_text(text, encoding="utf-8")
    return read_table(path, Reading(columns=columns, time_column=time, **reading))


def test_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    table = _table(tmp_path, "\ufeffa, b,c\n1,2,3\n\n4,5e1,-6\n", "c", "b")
    np.testing.assert_array_equal(table.values, [[3, 2], [-6, 50]])
    assert table.columns == ("c", "b")
    assert table.period == 1
    assert table.notes == ()


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1,2\n", (), r"name the column to forecast with --column; the file has 'a', 'b'"),
        ("a,b\n1,2\n", ("x",), r"has no column 'x'; it has 'a', 'b'"),
        ("a,a\n1,2\n", ("a",), r"has more than one column 'a'"),
        ("a,b\n1,2\n", ("a", "a"), r"expected different columns"),
        ("a\n1\n\n?\n", ("a",), r"line 4, column 'a': expected a finite number, got '\?'"),
        ("a\n-inf\n", ("a",), r"expected a finite number, got '-inf'"),
        ("a\n1e999\n", ("a",), r"expected a finite number, got '1e999'"),
        ("a,b\n1,2\n3\n", ("a",), r"line 3: expected 2 fields, got 1"),
        ("a,b\n", ("a",), r"got 0 lines of values"),
        ("", ("a",), r"got 0 lines of values"),
        ('a\n"1\n', ("a",), r"cannot be read as CSV"),
        ("a,b\n1,\n2,\n", ("b",), r"a column that was asked for has no value at all"),
        ("a,b\n1,\n2,3\n", ("b",), r"1 of 2 steps have no value, the first at step 1, which is more than one in ten"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    tmp_path: Path, text: str, columns: tuple[str, ...], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        _table(tmp_path, text, *columns)


def test_a_missing_time_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no column 'when'"):
        _table(tmp_path, "a\n1\n", "a", time="when")


@pytest.mark.parametrize("times", ["2024-01-02 2024-01-01", "1990Q1 1990Q2", "01/02/2009 02/02/2009", "2001 2002"])
def test_a_column_that_looks_like_times_is_asked_for(tmp_path: Path, times: str) -> None:
    text = "day,x\n" + "".join(f"{time},{number}\n" for number, time in enumerate(times.split()))
    with pytest.raises(
        TableError, match="column 'day' looks like times: say --time-column 'day', or --time-column none"
    ):
        _table(tmp_path, text, "x")
    np.testing.assert_array_equal(_table(tmp_path, text, "x", time="none").values[:, 0], [0, 1])


@pytest.mark.parametrize("cells", ["0.5 7.25", "12 17", "red blue", "1234567 1234568", "9999999999 9999999998"])
def test_other_columns_do_not_look_like_times(tmp_path: Path, cells: str) -> None:
    text = "y,x\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(cells.split()))
    assert len(_table(tmp_path, text, "x").values) == 2


_SHOPS = "shop,day,sold\n" + "".join(
    f"{shop},2024-01-{day:02d},{100 * index + day}\n"
    for index, shop in enumerate(("north", "south", "7"))
    for day in range(1, 29)
)


def test_several_series_in_one_file_are_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"column 'shop' tells .* like 3 series \('north', 'south', '7'\)"):
        _table(tmp_path, _SHOPS, "sold", time="day")
    numbered = _SHOPS.replace("north", "1").replace("south", "2")
    with pytest.raises(TableError, match=r"like 3 series \('1', '2', '7'\): take one with --series NAME"):
        _table(tmp_path, numbered, "sold", time="day")


@pytest.mark.parametrize("series", ["south", "shop=south"])
def test_one_series_of_several_is_taken(tmp_path: Path, series: str) -> None:
    table = _table(tmp_path, _SHOPS, "sold", time="day", series=series)
    np.testing.assert_array_equal(table.values[:, 0], np.arange(101, 129))
    assert table.notes == ("28 of 84 rows are of the series 'south' of 'shop'",)


def test_a_series_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="got 'east'; 'shop' has 'north', 'south', '7'"):
        _table(tmp_path, _SHOPS, "sold", time="day", series="east")
    with pytest.raises(TableError, match="no column 'town'"):
        _table(tmp_path, _SHOPS, "sold", time="day", series="town=east")


def test_rows_with_names_and_without_times_are_told(tmp_path: Path) -> None:
    table = _table(tmp_path, "shop,x\na,1\na,2\nb,3\nb,4\n", "x")
    assert "column 'shop' names 2 things ('a', 'b')" in table.notes[0]
    assert not _table(tmp_path, "x,note\n1,a\n2,b\n", "x").notes
