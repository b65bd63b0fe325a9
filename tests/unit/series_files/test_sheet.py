import datetime
import sys
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from series_files.errors import TableError
from series_files.reading import Reading
from series_files.table import Table, read_table


def _read(path: Path, *columns: str, time: str | None = None, **reading: Any) -> Table:
    return read_table(path, Reading(columns=columns or ("x",), time_column=time, **reading))


def _written(folder: Path, content: bytes | str, encoding: str = "utf-8") -> Path:
    path = folder / "series.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "values", "note"),
    [
        ("x;y\n1,5;2\n-2,25;3\n", [1.5, -2.25], "fields are separated by semicolons"),
        ("x\ty\n1.5\t2\n-2.25\t3\n", [1.5, -2.25], "fields are separated by tabs"),
        ("x|y\n1.5|2\n-2.25|3\n", [1.5, -2.25], "fields are separated by bars"),
        ("sep=;\nx;y\n1,5;2\n-2,25;3\n", [1.5, -2.25], "'1,5' is read as 1.5"),
        ("x\n1,5\n-2,25\n", [1.5, -2.25], "'1,5' is read as 1.5"),
        ('y,x\n"a,b","1,5"\n"c,d","-2,25"\n', [1.5, -2.25], "'1,5' is read as 1.5"),
        ("x;y\n1.234,5;2\n999,5;3\n", [1234.5, 999.5], "'1.234,5' is read as 1234.5"),
        ('x,y\n"1,234.5",2\n999.5,3\n', [1234.5, 999.5], "'1,234.5' is read as 1234.5"),
        ("x;y\n1 234,5;2\n1\u00a0000\u202f000;3\n", [1234.5, 1e6], "'1 234,5' is read as 1234.5"),
        ("x;y\n1.234.567;2\n12;3\n", [1234567, 12], "'1.234.567' is read as 1234567"),
        ("x;y\n2.193;0,5\n875;0,25\n", [2193, 875], "'2.193' is read as 2193"),
        ("x;y\n2.193;0.5\n875;0.25\n", [2.193, 875], "'2.193' is read as 2.193"),
        ("x,y\n2.193,1\n1.875,2\n", [2.193, 1.875], "'2.193' is read as 2.193"),
    ],
)
def test_delimiter_and_decimal_sign_are_found_out_and_told(
    tmp_path: Path, text: str, values: list[float], note: str
) -> None:
    table = _read(_written(tmp_path, text))
    np.testing.assert_array_equal(table.values[:, 0], values)
    assert any(note in found for found in table.notes)


@pytest.mark.parametrize("text", ["x;y\n2.193;a\n875;b\n", "x,y\n2.193,a\n875,b\n", 'x,y\n"2,193",a\n875,b\n'])
def test_a_number_that_means_two_is_asked_for(tmp_path: Path, text: str) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(TableError, match=r"'2.193' may be 2\.?193 or 2\.?193: say --decimal \. or --decimal ,"):
        _read(path)
    other = "." if "2.193" in text else ","
    np.testing.assert_array_equal(_read(path, decimal=other).values[:, 0], [2.193, 875])
    np.testing.assert_array_equal(_read(path, decimal="," if other == "." else ".").values[:, 0], [2193, 875])


def test_plain_numbers_leave_nothing_to_tell(tmp_path: Path) -> None:
    assert _read(_written(tmp_path, "x,y\n1.5,0.123\n-2,1e-3\n"), "x", "y").notes == ()


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16, by its first bytes"),
        ("utf-16-le", "UTF-16-LE, by its zeros"),
        ("utf-16-be", "UTF-16-BE, by its zeros"),
        ("utf-32", "UTF-32, by its first bytes"),
        ("cp1252", "not UTF-8, so it is read as Windows-1252"),
    ],
)
def test_the_encoding_is_found_out_and_told(tmp_path: Path, encoding: str, note: str) -> None:
    table = _read(_written(tmp_path, "Erlös,y\n1,2\n3,4\n", encoding), "Erlös")
    assert table.values[:, 0].tolist() == [1, 3]
    assert [note in found for found in table.notes] == ([True] if note else [])


def test_an_encoding_can_be_said(tmp_path: Path) -> None:
    path = _written(tmp_path, "Erlös,y\n1,2\n3,4\n", "mac-roman")
    assert _read(path, "Erlös", encoding="mac-roman").values[:, 0].tolist() == [1, 3]
    with pytest.raises(TableError, match="cannot be read as text in ascii"):
        _read(path, "Erlös", encoding="ascii")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b\x08\x00rest", "got a gzip file: unpack it"),
        (b"\xd0\xcf\x11\xe0rest", "got an Excel file from before 2007"),
        (b"PK\x03\x04rest", "cannot be read as an Excel file"),
        (b"a,b\n\x81\x8d,2\n", "cannot be read as text in UTF-8"),
    ],
)
def test_other_kinds_of_files_are_called_by_their_names(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        _read(_written(tmp_path, content))


def test_an_excel_file_is_read_with_its_own_types(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Sales"
    sheet.append(["when", "x", None])
    for month in range(1, 13):
        sheet.append([datetime.datetime(2024, month, 1), 2.193 * month if month != 5 else None, None])
    book.create_sheet("Notes").append(["nothing"])
    path = tmp_path / "series.xlsx"
    book.save(path)
    table = _read(path, time="when", fill="linear")
    np.testing.assert_allclose(table.values[:, 0], 2.193 * np.arange(1, 13))
    assert table.period == 12
    assert table.notes[0] == "of 2 sheets the first, 'Sales', is read"
    assert "1 of 12 steps have no value, the first at 2024-05-01" in table.notes[1]


def test_an_excel_cell_that_is_no_number_is_said_with_its_row(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["x"], [1], ["many"]):
        book.active.append(row)
    path = tmp_path / "series.xlsx"
    book.save(path)
    with pytest.raises(TableError, match="row 3, column 'x': expected a finite number, got 'many'"):
        _read(path)
    with pytest.raises(TableError, match="--decimal, --delimiter and --encoding belong to text"):
        _read(path, decimal=",")


@pytest.mark.parametrize(
    ("start", "module", "extra"), [(b"PK\x03\x04", "openpyxl", "excel"), (b"PAR1", "pandas.io.parquet", "parquet")]
)
def test_what_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes, module: str, extra: str
) -> None:
    def missing(*_: object) -> None:
        raise ImportError

    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(
        TableError, match=rf"pip install '\.\[{extra}\]' in a clone of Tensorgate, or save the file as CSV"
    ):
        _read(_written(tmp_path, start + b"rest"))
    assert module


def test_a_parquet_file_is_read_by_what_pandas_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reader is large, and no part of the tests: the frame is given."""
    frame = pd.DataFrame({"x": [2.193, None, 3.0]}, index=pd.date_range("2024-01-01", periods=3, name="day"))
    monkeypatch.setattr(pd, "read_parquet", lambda _: frame)
    table = _read(_written(tmp_path, b"PAR1rest"), time="day", fill="last")
    assert table.values[:, 0].tolist() == [2.193, 2.193, 3.0]
    assert table.period == 7
