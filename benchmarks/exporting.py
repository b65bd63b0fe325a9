"""Exports the models that are measured, as anybody would with Keras. Imports tensorflow."""

import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.models import INPUT, LARGE, SMALL, SUM, Example


def save_small(models: Path) -> Example:
    """Exports a small CNN: float32 [N, 28, 28, 1] to [N, 10]; the model of all comparisons."""
    convolutions = [
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]
    return _save(models / SMALL, (28, 28, 1), convolutions)


def save_large(models: Path) -> Example:
    """Exports a CNN of larger images and little work each: float32 [N, 224, 224, 3] to [N, 10]."""
    convolutions = [
        layers.Conv2D(16, 3, strides=4, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.GlobalAveragePooling2D(),
    ]
    return _save(models / LARGE, (224, 224, 3), convolutions)


def save_sum(models: Path) -> None:
    """Exports a model that adds up each row, float32 [N, K] to [N]: almost free, whatever the size."""
    module = tf.Module()
    spec = tf.TensorSpec((None, None), tf.float32, name=INPUT)
    module.add = tf.function(lambda keras_tensor: {"output_0": tf.reduce_sum(keras_tensor, 1)}, input_signature=[spec])
    tf.saved_model.save(module, str(models / SUM / "1"), signatures={"serving_default": module.add})


def copy(model: Path, names: list[str], models: Path) -> None:
    """Puts the same model into a models folder under each of the names."""
    for name in names:
        shutil.copytree(model, models / name)


def _save(folder: Path, shape: tuple[int, int, int], convolutions: list[layers.Layer]) -> Example:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([layers.Input(shape, name=INPUT), *convolutions, layers.Dense(10, activation="softmax")])
    model.export(folder / "1", verbose=False)
    image = np.random.default_rng(0).random((1, *shape)).round(4).astype(np.float32)
    return Example(image, np.asarray(model(image)))
