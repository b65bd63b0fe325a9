"""What a published forecaster makes of the new test part."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.forecaster.data import hash_of
from training.forecaster.evaluate import errors
from training.forecaster.fit import Task
from training.forecaster.split import futures, histories
from training.gate import NotComparableError, Rival, check_kind

_ROWS = 512  # at a time


def measure(folder: Path, manifest: Mapping[str, Any], *, task: Task, forecast: NDArray[np.float32]) -> Rival:
    """Runs a published version at the origins of the test part, on the steps that both versions forecast.

    Args:
        folder: the version's.
        manifest: the version's; empty when it has none.
        task: the new model's.
        forecast: float32 [origins,H], the new model's, at all origins of the test part.

    Raises:
        NotComparableError: it is another kind of model, forecasts another column, or needs one that is not there.
    """
    check_kind(manifest, "forecaster")
    columns = _columns(manifest, task)
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    shape = signature.structured_input_signature[1]["history"].shape[1:]
    features = shape[1] if len(shape) == 2 else 1
    if features != len(columns):
        raise NotComparableError(f"it takes {features} columns")
    test = task.bounds.test_origins
    origins = range(max(test.start, shape[0]), test.stop)
    past = histories(task.data.values[:, columns], origins, shape[0]).reshape(len(origins), *shape)
    theirs = np.concatenate(
        [
            signature(history=tf.constant(past[start : start + _ROWS]))["forecast"].numpy()
            for start in range(0, len(past), _ROWS)
        ]
    )
    steps = min(theirs.shape[1], task.horizon)
    truth = futures(task.data.target, origins, task.horizon)[:, :steps]
    ours = forecast[origins.start - test.start :, :steps]
    on = [] if steps == task.horizon else [f"on the first {steps} steps"]
    if not _is_of_the_past(manifest, task, columns):
        on.append("on values some of which it may have been trained on")
    return Rival(
        errors(truth, theirs[:, :steps], 1.0).over_horizon, errors(truth, ours, 1.0).over_horizon, ", ".join(on)
    )


def _columns(manifest: Mapping[str, Any], task: Task) -> list[int]:
    """The positions of the columns that a version sees; all, where it does not say."""
    ours = list(task.data.columns)
    theirs = manifest.get("input", {}).get("columns", ours)
    if theirs[0] != ours[0]:
        raise NotComparableError(f"it forecasts {theirs[0]!r}")
    if missing := [column for column in theirs if column not in ours]:
        raise NotComparableError(f"it needs the column {missing[0]!r}")
    return [ours.index(column) for column in theirs]


def _is_of_the_past(manifest: Mapping[str, Any], task: Task, columns: list[int]) -> bool:
    """Whether a version was fitted on values before the test part alone: on the first ones, as many as it says."""
    data = manifest.get("data", {})
    examples = data.get("examples", {})
    length = int(examples.get("training", 0)) + int(examples.get("validation", 0))
    names = tuple(task.data.columns[column] for column in columns)
    first = hash_of(task.data.values[:length, columns], names)
    return length <= task.bounds.test_start and data.get("fitted_sha256") == first
