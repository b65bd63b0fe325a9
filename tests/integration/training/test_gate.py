"""The gate on real versions: what was published is run on the new test part."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from series_files.reading import Reading
from training.classifier import rival as classifier_rival
from training.classifier.data import load as load_images
from training.classifier.export import cases
from training.classifier.rival import Exam
from training.classifier.split import split
from training.forecaster import rival as forecaster_rival
from training.forecaster.data import load as load_series
from training.forecaster.fit import Task
from training.forecaster.split import boundaries
from training.gate import NotComparableError

from .conftest import Run, Trainer


def _manifest(version: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((version / "assets.extra" / "tensorgate.json").read_text())
    return found


@pytest.fixture
def wave_version(wave: Run) -> Path:
    assert wave.code == 0, wave.error
    return wave.models / "wave-of-2000" / "1"


@pytest.fixture
def digits_version(digits: Run) -> Path:
    assert digits.code == 0, digits.error
    return digits.models / "digits" / "1"


def _task(series: Path, *columns: str, horizon: int = 6) -> tuple[Task, np.ndarray[Any, Any]]:
    data = load_series(str(series), Reading(columns=columns, time_column="month"))
    bounds = boundaries(len(data.values), window=14, horizon=horizon)
    return Task(data, bounds, 14, horizon), np.full((len(bounds.test_origins), horizon), 50, np.float32)


def test_a_published_forecaster_reaches_what_it_was_published_with(wave_version: Path, series: Path) -> None:
    task, forecast = _task(series, "wave", "driver")
    rival = forecaster_rival.measure(wave_version, _manifest(wave_version), task=task, forecast=forecast)
    assert rival.error == pytest.approx(_manifest(wave_version)["evaluation"]["error"], rel=1e-4)
    assert rival.own > rival.error
    assert not rival.on


def test_a_published_forecaster_is_compared_on_the_steps_that_both_have(wave_version: Path, series: Path) -> None:
    task, forecast = _task(series, "wave", "driver", horizon=9)
    rival = forecaster_rival.measure(wave_version, _manifest(wave_version), task=task, forecast=forecast)
    assert rival.on == "on the first 6 steps"


@pytest.mark.parametrize(
    ("columns", "kind", "reason"),
    [
        (("driver", "wave"), "forecaster", "it forecasts 'wave'"),
        (("wave",), "forecaster", "it needs the column 'driver'"),
        (("wave", "driver"), "classifier", "it is a classifier"),
    ],
)
def test_a_forecaster_of_something_else_is_not_compared(
    wave_version: Path, series: Path, columns: tuple[str, ...], kind: str, reason: str
) -> None:
    task, forecast = _task(series, *columns)
    with pytest.raises(NotComparableError, match=reason):
        forecaster_rival.measure(wave_version, _manifest(wave_version) | {"kind": kind}, task=task, forecast=forecast)


def _tested(*, seed: int, classes: str = "0123456789") -> Exam:
    data = load_images("digits")
    test = split(data, seed).test
    answered = {"scores": np.eye(10, dtype=np.float32)[test.labels]}
    files = cases(test.images, answered, data.classes)["classify_bytes"].inputs["image_bytes"]
    return Exam(
        lambda rows: list(files[rows]), data.fingerprints()[test.rows], test.labels, test.labels, tuple(classes)
    )


def test_a_published_classifier_reaches_what_it_was_published_with(digits_version: Path) -> None:
    rival = classifier_rival.measure(digits_version, _manifest(digits_version), _tested(seed=0))
    assert rival.error == pytest.approx(_manifest(digits_version)["evaluation"]["error"])
    assert rival.own == 0
    assert not rival.on


def test_a_published_classifier_is_compared_on_what_it_was_not_trained_on(digits_version: Path, tmp_path: Path) -> None:
    tested = _tested(seed=1)
    rival = classifier_rival.measure(digits_version, _manifest(digits_version), tested)
    common = np.isin(tested.fingerprints, _tested(seed=0).fingerprints).sum()
    assert 0 < common < len(tested.truth)
    assert rival.on == f"on the {common} of {len(tested.truth)} test images that it was not trained on"
    copy = tmp_path / "1"
    shutil.copytree(digits_version, copy)
    (copy / "assets.extra" / "trained_on.npy").unlink()
    unknown = classifier_rival.measure(copy, _manifest(copy), tested)
    assert unknown.on == "on images some of which it may have been trained on"


def test_a_classifier_of_something_else_is_not_compared(digits_version: Path) -> None:
    manifest = _manifest(digits_version)
    with pytest.raises(NotComparableError, match="its classes are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        classifier_rival.measure(digits_version, manifest, _tested(seed=0, classes="abcdefghij"))
    with pytest.raises(NotComparableError, match="it is a generic"):
        classifier_rival.measure(digits_version, manifest | {"kind": "generic"}, _tested(seed=0))


def test_a_retrained_model_is_held_against_the_published_one_on_newer_data(
    wave: Run, series: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    shutil.copytree(wave.models, models)
    longer = tmp_path / series.name
    lines = series.read_text().splitlines()
    added = [f"2012-{month:02d}-01,{50 + month},{month / 12}" for month in range(7, 13)]
    longer.write_text("\n".join([*lines, *added]) + "\n")
    options = ("forecaster", "--data", str(longer), "--time-column", "month", "--horizon", "6", "--epochs", "1")
    changed = Trainer(models).run(*options, "--column", "wave", "--window", "14")
    assert changed.code == 3
    assert "has columns wave, driver, now wave; choose another --name" in changed.error
    assert "Training on" not in changed.output

    again = Trainer(models).run(
        *options, "--column", "wave", "--column", "driver", "--window", "14", "--tolerance", "0.5"
    )
    assert again.code == 0, again.error
    version = models / "wave-of-2000" / "2"
    assert "Running published version 1 on the same test part" in again.output
    [_, check] = _manifest(version)["evaluation"]["checks"]
    assert "is not worse than published version 1 (" in check
    assert check in (version / "assets.extra" / "model_card.md").read_text()


def test_a_network_that_always_says_the_same_is_refused(trainer: Trainer, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name, count in (("circles", 60), ("squares", 6)):
        (tmp_path / "shapes" / name).mkdir(parents=True)
        for number in range(count):
            noise = Image.fromarray(generator.integers(0, 256, (8, 8), np.uint8))
            noise.save(tmp_path / "shapes" / name / f"{number}.png")
    run = trainer.run("classifier", "--data", str(tmp_path / "shapes"), "--epochs", "3")
    assert run.code == 3
    assert "balanced error rate 0.5 is not better than always saying one class (0.5)" in run.error
    assert "warning: class 'squares' is never recognised: recall 0 on 1 test images" in run.output
    assert "the classes are of very different sizes" in run.output
    assert not trainer.models.exists()
