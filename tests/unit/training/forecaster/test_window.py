"""The window of a run that does not say one."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from series_files.reading import Reading
from training.checkpoints import checkpoints
from training.display import Display
from training.errors import TrainingError
from training.forecaster.train import _task, train
from training.manifest import EXTRA, FILE_NAME
from training.options import ForecasterOptions, PublishOptions
from training.progress import Progress


def _window(folder: Path, rows: int, **asked: Any) -> tuple[int, str]:
    """Which window a run on so many rows takes, and what it says of it."""
    options, place = _asked(folder, rows, **asked)
    said = io.StringIO()
    return _task(options, place, Display(Console(file=said, width=200))).window, said.getvalue()


def _asked(
    folder: Path, rows: int, *, preset: str = "quantile", window: int | None = None, allow_change: bool = False
) -> tuple[ForecasterOptions, PublishOptions]:
    data = folder / "walk.csv"
    data.write_text("\n".join(["value", *map(str, np.random.default_rng(0).normal(size=rows))]))
    options = ForecasterOptions(
        str(data), Reading(columns=("value",)), preset, window, horizon=10, period=None, seed=0, epochs=1
    )
    return options, PublishOptions(folder / "models", "walk", force=False, tolerance=0, allow_change=allow_change)


def _publish(folder: Path, version: int, window: int) -> None:
    extra = folder / "models" / "walk" / str(version) / EXTRA
    extra.mkdir(parents=True)
    (extra / FILE_NAME).write_text(json.dumps({"kind": "forecaster", "input": {"window": window}}))


def test_a_series_that_has_grown_keeps_the_window_of_its_newest_version(tmp_path: Path) -> None:
    assert _window(tmp_path, 700) == (35, "")
    _publish(tmp_path, 1, 20)
    _publish(tmp_path, 2, 35)
    assert _window(tmp_path, 700) == (35, "")
    told = "The window is 35, that of the published version of 'walk'; it would be 37 else\n"
    assert _window(tmp_path, 740) == (35, told)
    assert _window(tmp_path, 740, preset="plain")[0] == 35


@pytest.mark.parametrize(
    ("rows", "expected", "options"),
    [(740, 37, {"allow_change": True}), (740, 50, {"window": 50}), (62, 14, {}), (740, 10, {"preset": "plain"})],
)
def test_a_window_that_is_asked_for_or_fits_no_more_is_another(
    tmp_path: Path, rows: int, expected: int, options: dict[str, Any]
) -> None:
    _publish(tmp_path, 1, 35 if options.get("preset") != "plain" else 700)
    assert _window(tmp_path, rows, **options) == (expected, "")


def test_a_run_is_not_gone_on_with_in_another_window(tmp_path: Path) -> None:
    options, place = _asked(tmp_path, 740)
    display = Display(Console(file=io.StringIO()))
    with pytest.raises(KeyboardInterrupt):
        _interrupted(options, place, display)
    _publish(tmp_path, 1, 35)
    with (
        checkpoints(place, {}, resume=True, display=display) as kept,
        pytest.raises(TrainingError, match=r"in windows of 37, is now .*, in windows of 35"),
    ):
        train(options, place, Progress(display, kept))


def _interrupted(options: ForecasterOptions, place: PublishOptions, display: Display) -> None:
    task = _task(options, place, display)
    with checkpoints(place, {}, resume=False, display=display) as kept:
        kept.check_data(f"{task.data.sha256()}, in windows of {task.window}")
        kept.save("training", {}, {})
        raise KeyboardInterrupt


def test_a_season_that_was_guessed_and_does_not_fit_is_left_out_and_told(tmp_path: Path) -> None:
    options, place = _asked(tmp_path, 60)
    hours = [f"2024-01-{1 + hour // 24:02d}T{hour % 24:02d}:00,{hour * hour % 17}" for hour in range(60)]
    (tmp_path / "walk.csv").write_text("\n".join(["hour,value", *hours]))
    display = Display(Console(file=io.StringIO()))
    reading = Reading(columns=("value",), time_column="hour")
    options = dataclasses.replace(options, reading=reading, window=4, horizon=2)
    assert _task(options, place, display).data.period == 24
    (tmp_path / "walk.csv").write_text("\n".join(["hour,value", *hours[:36]]))
    data = _task(options, place, display).data
    assert (data.period, data.window) == (1, 32)
    assert data.notes[-1] == "a season of 24 steps is longer than the training part, 22: no season is looked for"
    with pytest.raises(TrainingError, match="--period: expected at most 22, the training part, got 24"):
        _task(dataclasses.replace(options, period=24), place, display)
