"""What training writes of its data, as the server reads it: other data are noticed, the held-out ones are not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.codecs.drift_reference import decode_reference
from service.core.drift_measures import DRIFTED, SHIFTING, Verdict
from service.core.drift_reference import Reference
from service.core.tensors import Signature, TensorSpec
from tests.drift import distances
from training.classifier import reference as of_classifier
from training.classifier.data import load as load_images
from training.classifier.split import split
from training.forecaster import reference as of_forecaster
from training.forecaster.data import load as load_series
from training.forecaster.scaling import Scaling
from training.forecaster.split import boundaries, histories
from training.reference import (
    FILE_NAME,
    STATISTICS,
    SignatureStatistics,
    TensorScale,
    TensorStatistics,
    histogram,
    write_reference,
)

ROWS, BATCHES = 500, 1000
MOST_FALSE_ALARMS = 0.001
CLASSES = 10
FILES = ("classify_bytes", "classify_examples")


def read(folder: Path, signatures: dict[str, SignatureStatistics], specs: dict[str, Signature]) -> Reference:
    write_reference(folder, signatures, about="data")
    return decode_reference((folder / "assets.extra" / FILE_NAME).read_bytes(), specs)


def centroid_scores(images: NDArray[Any], centroids: NDArray[Any]) -> NDArray[np.float32]:
    """A classifier in a line: the nearer the centroid of a class, the higher its score; [N,10]."""
    apart = ((images.reshape(len(images), 1, -1) - centroids) ** 2).mean(axis=2) / 500
    raised = np.exp(apart.min(axis=1, keepdims=True) - apart)
    scores: NDArray[np.float32] = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores


class Digits:
    """The test part of the digits, and the reference that the other parts make."""

    def __init__(self, folder: Path) -> None:
        parts = split(load_images("digits"), 0)
        known = [parts.training.images.astype(np.float32), parts.validation.images.astype(np.float32)]
        flat = known[0].reshape(len(known[0]), -1)
        self._centroids = np.stack([flat[parts.training.labels == label].mean(axis=0) for label in range(CLASSES)])
        self.test = parts.test.images.astype(np.float32)
        scores = [centroid_scores(images, self._centroids) for images in known]
        signatures = of_classifier.signatures(np.concatenate(known), np.concatenate(scores), scores[-1])
        outputs = {"scores": TensorSpec("float32", (None, CLASSES))}
        specs = {
            "serving_default": Signature("", "", {"images": TensorSpec("float32", (None, 8, 8, 1))}, outputs),
            **{name: Signature("", "", {"x": TensorSpec("string", (None,))}, outputs) for name in FILES},
        }
        self.reference = read(folder, signatures, specs)

    def tensors(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {"images": images, "scores": centroid_scores(images, self._centroids)}


class Series:
    """What lies before the test part of a series made the reference; the test part comes next."""

    def __init__(self, folder: Path, name: str) -> None:
        data = load_series(name)
        bounds = boundaries(len(data.values), window=data.window, horizon=10)
        scaling = Scaling.fitted(data.values[: bounds.test_start])
        before = histories(data.values, range(data.window, bounds.test_start), data.window)[..., 0]
        self.test = histories(data.values, bounds.test_origins, data.window)[..., 0]
        self.before = before
        # A forecast of its own is no matter here: the last season again.
        signatures = of_forecaster.signatures(before, before[:, -data.period :], scaling)
        specs = Signature(
            "",
            "",
            {"history": TensorSpec("float32", (None, data.window))},
            {"forecast": TensorSpec("float32", (None, data.period))},
        )
        self._period = data.period
        self.reference = read(folder, signatures, {"serving_default": specs})

    def tensors(self, history: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return {"history": history, "forecast": history[:, -self._period :]}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    return Digits(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def elnino(tmp_path_factory: pytest.TempPathFactory) -> Series:
    return Series(tmp_path_factory.mktemp("elnino"), "elnino")


def alarms(data: Digits | Series, rows: NDArray[np.float32]) -> tuple[float, float]:
    """Draws batches of rows, with replacement; returns the share that raises an alarm, and the largest PSI of all."""
    random = np.random.default_rng(0)
    raised, largest = 0, 0.0
    tensors = data.tensors(rows)
    for _ in range(BATCHES):
        drawn = random.integers(0, len(rows), ROWS)
        found = distances(data.reference, "serving_default", {name: each[drawn] for name, each in tensors.items()})
        raised += any(one.verdict(ROWS) is Verdict.DRIFTED for one in found.values())
        largest = max(largest, *(one.psi for one in found.values()))
    return raised / BATCHES, largest


def test_held_out_digits_raise_no_alarm(digits: Digits) -> None:
    rate, largest = alarms(digits, digits.test)
    assert rate <= MOST_FALSE_ALARMS
    assert largest < DRIFTED


def test_the_years_to_come_of_a_steady_series_raise_no_alarm(elnino: Series) -> None:
    rate, largest = alarms(elnino, elnino.test)
    assert rate <= MOST_FALSE_ALARMS
    assert largest < DRIFTED


def noisy(images: NDArray[np.float32]) -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(0, 40, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.float32)


@pytest.mark.parametrize(
    "change", [lambda images: 255 - images, noisy, lambda images: 0.8 * images], ids=["inverted", "noisy", "dim"]
)
def test_other_digits_raise_an_alarm(digits: Digits, change: Any) -> None:
    found = distances(digits.reference, "serving_default", digits.tensors(change(digits.test)))
    assert found["images mean"].psi > DRIFTED
    assert found["images mean"].verdict(len(digits.test)) is Verdict.DRIFTED


def test_digits_of_few_classes_raise_an_alarm(digits: Digits) -> None:
    classes = digits.tensors(digits.test)["scores"].argmax(axis=1)
    found = distances(digits.reference, "serving_default", digits.tensors(digits.test[classes < 5]))
    assert found["scores argmax"].verdict(ROWS) is Verdict.DRIFTED


@pytest.mark.parametrize(
    ("change", "statistic"),
    [
        (lambda series: series + 5, "history values"),
        (lambda series: series + 5, "forecast values"),
        (lambda series: (series - 23) * 3 + 23, "history changes"),
        (lambda series: series * 9 / 5 + 32, "history values"),  # somebody sends Fahrenheit
    ],
    ids=["shifted", "shifted forecasts", "scaled", "Fahrenheit"],
)
def test_another_series_raises_an_alarm(elnino: Series, change: Any, statistic: str) -> None:
    found = distances(elnino.reference, "serving_default", elnino.tensors(change(elnino.test)))
    assert found[statistic].psi > DRIFTED
    assert found[statistic].verdict(ROWS) is Verdict.DRIFTED


def test_the_sun_has_changed(tmp_path: Path) -> None:
    """The test part of the sunspots is the most active time on record, and is told to be."""
    sunspots = Series(tmp_path, "sunspots")
    found = distances(sunspots.reference, "serving_default", sunspots.tensors(sunspots.test))
    assert found["history values"].psi > SHIFTING
    before = distances(sunspots.reference, "serving_default", sunspots.tensors(sunspots.before))
    assert all(one.psi < 0.01 for one in before.values())


_SCALE = TensorScale([0.5, 1.0], [1.0, 2.0], [3.0, 4.0])


@pytest.mark.parametrize(
    ("statistic", "scale"),
    # not of the argmax: its classes are the last dimension, which is the scale's columns
    [*((one, None) for one in STATISTICS), *((one, _SCALE) for one in STATISTICS if one != "argmax")],
)
def test_training_and_serving_count_alike(tmp_path: Path, statistic: str, scale: TensorScale | None) -> None:
    rows = np.random.default_rng(0).normal(0, 3, (300, 7, 2)).astype(np.float32)
    tensor = TensorStatistics([histogram(statistic, rows, scale=scale)], scale)
    spec = TensorSpec("float32", (None, 7, 14 if statistic == "argmax" else 2))
    signature = Signature("s", "", {"x": spec}, {})
    reference = read(tmp_path, {"s": SignatureStatistics({"x": tensor}, {})}, {"s": signature})
    [one] = reference.signatures["s"]
    assert one.histograms[0].rows == pytest.approx(300)
    [found] = distances(reference, "s", {"x": rows}).values()
    assert found.psi == pytest.approx(0, abs=1e-9)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    entry = TensorStatistics([histogram("mean", np.arange(40.0).reshape(20, 2), bins=4)])
    write_reference(tmp_path, {"s": SignatureStatistics({"x": entry}, {})}, about="numbers")
    content = json.loads((tmp_path / "assets.extra" / FILE_NAME).read_text())
    assert (content["version"], content["about"]) == (1, "numbers")
    [written] = content["signatures"]["s"]["inputs"]["x"]["histograms"]
    assert (written["statistic"], len(written["edges"]), written["counts"]) == ("mean", 3, [5, 5, 5, 5])


def test_what_never_changes_has_two_bins() -> None:
    assert len(histogram("mean", np.ones((9, 2)))["counts"]) == 2
