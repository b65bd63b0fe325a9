"""The model that is asked, of which nothing but its size matters: each row is answered with its mean."""

from pathlib import Path

import numpy as np

from benchmarks.questions import Examples

MODEL, INPUT, OUTPUT = "mean", "x", "y"
_COUNT = 8


def examples(numbers: int) -> Examples:
    """Returns rows of so many numbers, float32 [8, numbers], each of four digits, and what the model says to each."""
    rows = np.random.default_rng(0).random((_COUNT, numbers)).round(4).astype(np.float32)
    return Examples(rows, rows.mean(1, keepdims=True))


def export(models: Path) -> None:
    """Exports it into a models folder, float32 [N, M] to [N, 1]. Imports tensorflow."""
    import tensorflow as tf  # noqa: PLC0415 - it takes its time, and memory

    module = tf.Module()
    spec = tf.TensorSpec([None, None], tf.float32, name=INPUT)
    mean = tf.function(lambda x: {OUTPUT: tf.reduce_mean(x, 1, keepdims=True)})
    tf.saved_model.save(module, models / MODEL / "1", signatures=mean.get_concrete_function(spec))
