"""Weights in fewer bits: what is exported is what was measured, and the gate holds it against the same in float32."""

import functools
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from tests.narrow_models import network, pictures, write
from training.card import write_report
from training.display import Display
from training.errors import PlaceError, PublicationRefusedError
from training.gate import Judgement, Rival, Verdict
from training.narrowed import narrowed
from training.options import PublishOptions
from training.pipeline import Candidate, publish
from training.storage import stored
from training.verify import Case

DTYPES = {"float16": (np.float16, 1e-3), "int8": (np.int8, 0.05)}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return network()


@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_are_stored_in_fewer_bits_and_nothing_else(model: keras.Model, dtype: str) -> None:
    narrow, tolerance = DTYPES[dtype]
    for one in stored(model.variables, dtype):
        exact = np.asarray(one.variable)
        if not one.variable.name.endswith("kernel"):
            assert one.values is one.variable.value
            continue
        assert one.values.dtype.as_numpy_dtype == narrow
        np.testing.assert_allclose(one.widened(), exact, atol=tolerance * np.abs(exact).max())


def test_values_that_float16_has_not_stay_as_they_are_and_zeros_are_zeros() -> None:
    large, nothing = (keras.Variable(np.full((2, 2), value, np.float32), name="kernel") for value in (1e6, 0))
    assert stored([large], "float16")[0].values is large.value
    assert not stored([nothing], "int8")[0].widened().numpy().any()


def test_a_depthwise_kernel_has_a_scale_for_each_channel() -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 1)).astype(np.float32) * [[[[1], [10], [100], [1000]]]]
    [one] = stored([keras.Variable(kernel.astype(np.float32), name="depthwise_kernel")], "int8")
    half_a_step = np.abs(kernel).max(axis=(0, 1)) / 254
    assert (np.abs(one.widened() - kernel) <= 1.001 * half_a_step).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_exported_model_is_that_of_the_widened_weights_and_smaller(
    model: keras.Model, tmp_path: Path, dtype: str
) -> None:
    for each in ("float32", dtype):
        write(model, tmp_path / each, each)
    images = pictures(20)
    answered = tf.saved_model.load(str(tmp_path / dtype)).signatures["serving_default"](images=tf.constant(images))
    exact = model.get_weights()
    for one in stored(model.variables, dtype):
        one.variable.assign(one.widened())
    expected = np.asarray(model(images, training=False))
    model.set_weights(exact)
    np.testing.assert_allclose(answered["scores"], expected, atol=1e-6)
    size = {
        each: sum(file.stat().st_size for file in (tmp_path / each / "variables").iterdir())
        for each in (dtype, "float32")
    }
    assert size[dtype] < 0.7 * size["float32"]


def candidate(model: keras.Model) -> Candidate:
    """Its error is how far its scores are from those in float32."""
    images = pictures(40)
    scores = np.asarray(model(images, training=False))

    def rerun(folder: Path, _: Mapping[str, Any]) -> Rival:
        answered = tf.saved_model.load(str(folder)).signatures["serving_default"](images=tf.constant(images))
        return Rival(float(np.abs(answered["scores"] - scores).max()), 0.0)

    def report(folder: Path, _: Verdict) -> None:
        write_report(folder, "# model", {"history": {}})

    return Candidate(
        kind="generic",
        judgement=Judgement("error", 0.0, "guessing", 0.5, {}, (), "", lambda error, by: error + by, rerun),
        facts={},
        methods={},
        cases={"serving_default": Case({"images": images}, {"scores": scores})},
        scale=1.0,
        reference={},
        about_reference="",
        export=functools.partial(write, model),
        variables=model.variables,
        report=report,
    )


def published(model: keras.Model, models: Path, tolerance: float) -> Path:
    options = PublishOptions(models, "model", force=False, tolerance=tolerance, export_dtype="int8")
    display = Display(Console(file=io.StringIO()))
    return publish(narrowed(candidate(model), options, display), options, display)


def test_a_version_with_int8_says_what_that_costs_and_gains(model: keras.Model, tmp_path: Path) -> None:
    extra = published(model, tmp_path, tolerance=0.1) / "assets.extra"
    found = json.loads((extra / "metrics.json").read_text())["weights"]
    manifest = json.loads((extra / "tensorgate.json").read_text())
    assert found == manifest["weights"]
    assert found["int8"]["bytes"] < found["float32"]["bytes"]
    assert 0 < found["int8"]["error"] < 0.1
    assert found["int8"]["error"] == manifest["evaluation"]["error"]
    assert all(value > 0 for figures in (found["int8"], found["float32"]) for value in figures["milliseconds"].values())
    assert any("the same model with weights in float32" in check for check in manifest["evaluation"]["checks"])
    card = (extra / "model_card.md").read_text()
    assert "## Weights in int8" in card
    assert f"| int8 | {found['int8']['bytes']:,} |" in card


def test_a_loss_beyond_the_tolerance_is_refused(model: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(PublicationRefusedError, match="is worse than the same model with weights in float32"):
        published(model, tmp_path, tolerance=1e-7)
    assert not list(tmp_path.iterdir())


def test_memory_that_is_exhausted_is_no_full_disk(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(tf.saved_model, "save", exhausted)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="OOM"):
        published(model, tmp_path, tolerance=0.1)


def test_a_disk_that_is_full_is_told_as_one(
    model: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "saved_model.pb.tmp; No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(PlaceError, match=r"tensorgate-narrowed-.*float32: cannot be written to: No space left"):
        published(model, tmp_path, tolerance=0.1)
