"""Exports the model that is measured. Imports tensorflow."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.loading import VARIABLES
from benchmarks.questions import INPUT, MODEL, SHAPE, Examples

_COUNT = 32


def export(models: Path) -> Examples:
    """Exports a small CNN, float32 [N, 28, 28, 1] to [N, 10], as anybody would with Keras."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input(SHAPE, name=INPUT),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.export(models / MODEL / "1", verbose=False)
    images = np.random.default_rng(0).random((_COUNT, *SHAPE)).round(4).astype(np.float32)
    return Examples(images, np.asarray(model(images)))


def export_large(version: Path) -> None:
    """Exports a model that is small but for its number of variables, float32 [N] to [N]."""
    module = tf.Module()
    module.variables_ = [tf.Variable(tf.fill([16], float(number))) for number in range(VARIABLES)]
    scale = tf.function(lambda x: {"y": x * tf.reduce_sum(tf.add_n(module.variables_))})
    spec = tf.TensorSpec([None], tf.float32, name="x")
    tf.saved_model.save(module, version, signatures=scale.get_concrete_function(x=spec))
