"""What a published forecaster was fitted on, as far as it says."""

from typing import Any

import numpy as np
import pytest

from training.forecaster.data import SeriesData
from training.forecaster.fit import Task
from training.forecaster.rival import _is_of_the_past
from training.forecaster.split import boundaries

_VALUES = np.random.default_rng(0).normal(size=(200, 2))


def _task(values: np.ndarray[Any, Any]) -> Task:
    data = SeriesData("noise", values, ("a", "b"), 1, 10)
    return Task(data, boundaries(len(values), window=10, horizon=5), 10, 5)


def _manifest(values: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Of a version that was trained on them."""
    task = _task(values)
    first, end = task.bounds.validation_start, task.bounds.test_start
    examples = {"training": first, "validation": end - first}
    return {"data": {"examples": examples, "fitted_sha256": task.data.sha256_before(end)}}


def test_a_series_that_has_grown_leaves_what_a_version_was_fitted_on_before_the_test_part() -> None:
    assert _is_of_the_past(_manifest(_VALUES[:180]), _task(_VALUES), [0, 1])
    alone = SeriesData("noise", _VALUES[:180, :1], ("a",), 1, 10)
    manifest = {"data": {**_manifest(_VALUES[:180])["data"], "fitted_sha256": alone.sha256_before(144)}}
    assert _is_of_the_past(manifest, _task(_VALUES), [0])


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"kind": "forecaster"},
        {"data": {"examples": {"training": 10, "validation": 10}}},
        _manifest(_VALUES[20:]),  # fewer values, and newer ones
        _manifest(np.concatenate([_VALUES, _VALUES])),
    ],
    ids=["no manifest", "one that does not say", "no hash", "older values were added", "a longer series"],
)
def test_a_version_that_may_have_seen_the_test_part_is_known(manifest: dict[str, Any]) -> None:
    assert not _is_of_the_past(manifest, _task(_VALUES), [0, 1])
