"""Exports the models that are asked. Imports tensorflow."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from reliability.asking import FACTOR, MODEL

_RUN_MICROSECONDS, _ROW_MICROSECONDS = 1_000, 3_000
"""Of each sleep, of which a run has two: the dataset is asked once more, whether there is another element."""


def export_slow(models: Path) -> None:
    """Exports a model that takes 2 ms a run and 6 ms a row of it, float32 [N] to [N].

    It sleeps meanwhile, as a process does whose model runs on a GPU: the cores of this machine are left to the servers
    and to the load, and what a replica can do does not depend on what else runs here.
    """
    module = tf.Module()
    spec = tf.TensorSpec([None], tf.float32, name="x")
    signature = tf.function(_slowly).get_concrete_function(x=spec)
    tf.saved_model.save(module, models / MODEL / "1", signatures=signature)


def _slowly(x: Any) -> dict[str, Any]:
    nothing: Any = tf.data.Dataset.from_tensors(0)
    rows = tf.cast(tf.size(x), tf.int64)
    kind: dict[str, Any] = {"output_types": [tf.int32], "output_shapes": [[]]}
    sleeping = tf.raw_ops.SleepDataset(
        input_dataset=nothing._variant_tensor,
        sleep_microseconds=_RUN_MICROSECONDS + _ROW_MICROSECONDS * rows,
        **kind,
    )
    with tf.control_dependencies(tf.raw_ops.DatasetToSingleElement(dataset=sleeping, **kind)):
        return {"y": FACTOR * x}
