from pathlib import Path
from typing import Any

import numpy as np
import pytest

from series_files.reading import Reading
from training.errors import TrainingError
from training.forecaster.data import load


@pytest.mark.parametrize(("name", "length", "period"), [("sunspots", 309, 11), ("co2", 526, 12), ("elnino", 732, 12)])
def test_the_named_series_are_whole(name: str, length: int, period: int) -> None:
    data = load(name)
    assert data.values.shape == (length, 1)
    assert np.isfinite(data.values).all()
    assert data.period == period
    assert data.sha256() == load(name).sha256()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([5.0] * 30, "column 'x': expected values that change, got 5 in all 30 rows"),
        (
            1e9 + np.linspace(-10, 10, 30),
            r"column 'x': expected values that float32, in .* around 1e\+09 that change by",
        ),
        (
            np.linspace(1, 1e304, 30),
            r"column 'x': expected sizes below 1e\+30, as models compute in float32, got 1e\+304",
        ),
        (np.linspace(0, 1e-300, 30), r"expected sizes above 1e-30.*got 1e-300: use another unit"),
    ],
)
def test_values_that_no_model_can_learn_from_are_one_sentence(tmp_path: Path, values: Any, message: str) -> None:
    path = tmp_path / "series.csv"
    path.write_text("x\n" + "".join(f"{value!r}\n" for value in map(float, values)))
    with pytest.raises(TrainingError, match=message):
        load(str(path), Reading(columns=("x",)))


def test_large_values_that_change_enough_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("x\n" + "".join(f"{1e9 + 1e7 * (number % 7)!r}\n" for number in range(30)))
    assert load(str(path), Reading(columns=("x",))).values.shape == (30, 1)


def test_what_is_wrong_with_a_file_is_what_is_wrong_with_the_run(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    path.write_text("x\n1\ntwo\n")
    with pytest.raises(TrainingError, match="line 3, column 'x': expected a finite number, got 'two'"):
        load(str(path), Reading(columns=("x",)))
