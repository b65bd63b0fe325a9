"""A network of every kind of layer that training exports, with weights stored in fewer bits."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.savedmodel import Signature, save


def network() -> keras.Model:
    """Returns an untrained one: from float32 [N,8,8,1] to float32 [N,5], probabilities."""
    keras.utils.set_random_seed(4)
    images = keras.Input((8, 8, 1))
    signal = keras.layers.Conv2D(16, 3, use_bias=False)(images)
    signal = keras.layers.ReLU()(keras.layers.BatchNormalization()(signal))
    signal = keras.layers.LSTM(12, use_cudnn=False)(keras.layers.Reshape((6, 96))(signal))
    return keras.Model(images, keras.layers.Dense(5, activation="softmax")(signal))


def pictures(rows: int) -> Any:
    return np.random.default_rng(2).normal(size=(rows, 8, 8, 1)).astype(np.float32)


def write(model: keras.Model, folder: Path, dtype: str) -> None:
    """Writes it with one signature, `serving_default`: from `images` to `scores`."""
    spec = tf.TensorSpec([None, 8, 8, 1], tf.float32, "images")
    signature = Signature(lambda images: {"scores": model(images, training=False)}, spec)
    save(folder, {"serving_default": signature}, variables=model.variables, dtype=dtype)
