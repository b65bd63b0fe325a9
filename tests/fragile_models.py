"""SavedModels that end the process which runs them, by real failed checks of TensorFlow's. Imports tensorflow."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tests.savedmodels import predict_log, write_warmup

FATAL = 1e9
"""The value of a row that ends the process; no trial makes one up."""


class Fragile(tf.Module):  # type: ignore[misc]
    """Doubles each number; a huge one makes it ask for an image of more pixels than there are numbers."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")])
    def double(self, x: Any) -> dict[str, Any]:
        fatal = tf.reduce_any(x >= FATAL)
        sizes = tf.where(fatal, tf.fill([4], 2**31 - 1), tf.constant([1, 2, 2, 1]))
        # TensorFlow checks these sizes only in a CHECK: it aborts (mkl_conv_grad_input_ops.cc of TensorFlow 2.21).
        image = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=sizes,
            filter=tf.zeros([1, 1, 1, 1]),
            out_backprop=tf.zeros([1, 2, 2, 1]),
            strides=[1, 1, 1, 1],
            padding="SAME",
        )
        return {"y": 2 * x + tf.reduce_sum(image)}


def save_fragile(folder: Path) -> Path:
    """Writes a version that lives as long as no row is fatal."""
    module = Fragile()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.double})
    return folder


def save_fatal_to_load(folder: Path) -> Path:
    """Writes a version that ends the process as it is warmed up."""
    write_warmup(save_fragile(folder), predict_log("serving_default", x=np.array([[FATAL]], np.float32)))
    return folder
