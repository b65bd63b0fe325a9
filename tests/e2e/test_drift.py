"""Drift of the default models: held-out data raise no alarm, changed data do, over a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.codecs.drift_reference import decode_reference
from service.core.drift_measures import DRIFTED, Verdict
from service.core.tensors import Signature, TensorSpec
from tests.drift import distances
from tests.processes import server_process
from training.classifier.data import load as load_images
from training.classifier.split import split
from training.forecaster.data import load as load_series

ROWS, BATCHES = 500, 1000
MOST_FALSE_ALARMS = 0.001
LARGEST_REQUEST = 32


@pytest.fixture(scope="module")
def rest(default_models: Path) -> Iterator[httpx.Client]:
    with server_process("--models", str(default_models), "--drift-share", "1") as server:
        server.announcement()
        with httpx.Client(base_url=server.rest, timeout=60) as client:
            yield client


def predicted(rest: httpx.Client, model: str, rows: Any) -> list[Any]:
    answers: list[Any] = []
    for start in range(0, len(rows), LARGEST_REQUEST):
        body = {"instances": rows[start : start + LARGEST_REQUEST].tolist()}
        answers += rest.post(f"/v1/models/{model}:predict", json=body).raise_for_status().json()["predictions"]
    return answers


def verdicts(rest: httpx.Client, model: str) -> dict[str, str]:
    answer = rest.get(f"/api/v1/models/{model}/drift").raise_for_status().json()
    return {
        f"{one['tensor']} {one['statistic']}": one["verdict"]
        for one in answer["statistics"]
        if one["signature"] == "serving_default"
    }


def test_held_out_digits_are_stable_and_inverted_ones_drift(rest: httpx.Client, default_models: Path) -> None:
    images = split(load_images("digits"), 0).test.images.astype(np.float32)
    scores = np.array([answer["scores"] for answer in predicted(rest, "digits", images)], np.float32)
    assert set(verdicts(rest, "digits").values()) == {"stable"}
    assert _false_alarms(default_models, images, scores) <= MOST_FALSE_ALARMS
    predicted(rest, "digits", 255 - np.concatenate([images, images]))
    assert verdicts(rest, "digits")["images mean"] == "drifted"


def _false_alarms(models: Path, images: Any, scores: Any) -> float:
    """Returns the share of batches, drawn from held-out images with replacement, that raise an alarm."""
    [version] = (models / "digits").iterdir()
    inputs, outputs = {"images": TensorSpec("float32", images.shape)}, {"scores": TensorSpec("float32", scores.shape)}
    signatures = {
        name: Signature(name, "", inputs, outputs)
        for name in ("serving_default", "classify_bytes", "classify_examples")
    }
    reference = decode_reference((version / "assets.extra" / "tensorgate_reference.json").read_bytes(), signatures)
    random, raised = np.random.default_rng(0), 0
    for _ in range(BATCHES):
        drawn = random.integers(0, len(images), ROWS)
        found = distances(reference, "serving_default", {"images": images[drawn], "scores": scores[drawn]})
        raised += any(one.verdict(ROWS) is Verdict.DRIFTED for one in found.values())
        assert found["images mean"].psi < DRIFTED
    return raised / BATCHES


def test_shifted_and_scaled_sunspots_drift(rest: httpx.Client) -> None:
    values = load_series("sunspots").target
    windows = np.lib.stride_tricks.sliding_window_view(values, 33)[:214].astype(np.float32)
    predicted(rest, "sunspots", windows)
    assert set(verdicts(rest, "sunspots").values()) == {"stable"}
    predicted(rest, "sunspots", np.concatenate([windows, windows]) * 3 + 50)
    told = verdicts(rest, "sunspots")
    assert (told["history values"], told["forecast values"]) == ("drifted", "drifted")
