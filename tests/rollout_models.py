"""Versions of a model, good ones and bad ones in every way that a rollout must notice. Imports tensorflow.

All take x float32 [?, 4] and give y float32 [?, 4]; version 1 is the one that served before.

| version | y | what is wrong with it |
| --- | --- | --- |
| 1, 2 | 2 x + its number / 1000 | nothing |
| 3 | 2 x | it takes a quarter of a second |
| 4 | - | it refuses every third row, by a failed check in its graph |
| 5 | -2 x | it is another function than the one that its reference was made of |
| 6 | 2 x | its input is called z |
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.data.experimental.ops.testing import sleep

from training.reference import SignatureStatistics, TensorStatistics, histogram, write_reference

STABLE, GOOD, SLOW, FAILING, WRONG, RENAMED = 1, 2, 3, 4, 5, 6
WIDTH = 4
SLOW_SECONDS = 0.25


def rows(count: int, *, seed: int = 0) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Returns rows as the model is asked for."""
    return np.random.default_rng(seed).normal(1.0, 1.0, (count, WIDTH)).astype(np.float32)


def save_rollout_models(folder: Path) -> None:
    """Writes all versions below the folder of the model, each with the reference of 2 x."""
    asked = rows(2000, seed=1)
    statistics = SignatureStatistics(
        {"x": TensorStatistics([histogram("mean", asked)])}, {"y": TensorStatistics([histogram("mean", 2 * asked)])}
    )
    for version, function in {
        STABLE: lambda x: 2 * x + 0.001,
        GOOD: lambda x: 2 * x + 0.002,
        SLOW: _slow,
        FAILING: _failing,
        WRONG: lambda x: -2 * x,
    }.items():
        _save(folder / str(version), function)
        write_reference(folder / str(version), {"serving_default": statistics}, about="rows of numbers")
    renamed = tf.function(lambda z: {"y": 2 * z}).get_concrete_function(z=tf.TensorSpec([None, WIDTH], tf.float32))
    tf.saved_model.save(tf.Module(), str(folder / str(RENAMED)), signatures={"serving_default": renamed})


def _save(folder: Path, function: Callable[[Any], Any]) -> None:
    made = tf.function(lambda x: {"y": function(x)}).get_concrete_function(x=tf.TensorSpec([None, WIDTH], tf.float32))
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": made})


def _slow(x: Any) -> Any:
    # It sleeps, so that others have the processors meanwhile.
    late = tf.data.Dataset.from_tensors(0.0).apply(sleep(int(1e6 * SLOW_SECONDS)))
    return 2 * x + tf.data.experimental.get_single_element(late)


def _failing(x: Any) -> Any:
    # By a hash of the row, so that it does not depend on how rows are merged.
    bad = tf.equal(tf.cast(tf.abs(x[:, 0]) * 1000, tf.int64) % 3, 0)
    with tf.control_dependencies([tf.debugging.assert_none_equal(bad, True)]):
        return 2 * tf.identity(x)
