"""Writes a classifier as a SavedModel that takes pixels, image files, or tf.Examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.classifier.decoding import decode_images
from training.savedmodel import CLASSIFY, Signature, save
from training.verify import Case

METHODS = {"classify_examples": CLASSIFY}
_ENCODED = "image/encoded"  # the feature's usual name in image data sets


def export(model: keras.Model, classes: Sequence[str], folder: Path, dtype: str = "float32") -> None:
    """Writes the SavedModel.

    Args:
        model: from raw pixels, float32 [N,H,W,C], to probabilities.
        classes: their names, in the order of the probabilities.
        folder: where to.
        dtype: that the weights are stored in; see `training.storage`.
    """
    height, width, channels = model.input_shape[1:]

    def classify(images: Any) -> dict[str, Any]:
        scores = model(images, training=False)
        with tf.device("/CPU:0"):  # text lives nowhere else
            names = tf.broadcast_to(tf.constant(list(classes)), tf.shape(scores))
        # the shape is lost on the way, and TF Serving's clients read it from the signature
        return {"scores": scores, "classes": tf.ensure_shape(names, [None, len(classes)])}

    def classify_bytes(image_bytes: Any) -> dict[str, Any]:
        return classify(decode_images(image_bytes, height=height, width=width, channels=channels))

    def classify_examples(inputs: Any) -> dict[str, Any]:
        with tf.device("/CPU:0"):
            features = tf.io.parse_example(inputs, {_ENCODED: tf.io.FixedLenFeature([], tf.string)})
        return classify_bytes(features[_ENCODED])

    pixels = tf.TensorSpec([None, height, width, channels], tf.float32, "images")
    files = tf.TensorSpec([None], tf.string, "image_bytes")
    examples = tf.TensorSpec([None], tf.string, "inputs")
    signatures = {
        "serving_default": Signature(classify, pixels),
        "classify_bytes": Signature(classify_bytes, files),
        "classify_examples": Signature(classify_examples, examples, METHODS["classify_examples"]),
    }
    save(folder, signatures, variables=model.variables, dtype=dtype)


def cases(images: NDArray[np.uint8], scores: NDArray[np.float32], classes: Sequence[str]) -> dict[str, Case]:
    """What every signature must answer for some images.

    Args:
        images: uint8 [N,H,W,C].
        scores: what the trained model says of them.
        classes: their names.
    """
    files = [tf.io.encode_png(image).numpy() for image in images]
    expected: Mapping[str, Any] = {
        "scores": scores,
        "classes": np.broadcast_to(np.array([name.encode() for name in classes], object), scores.shape),
    }
    return {
        "serving_default": Case({"images": images.astype(np.float32)}, expected),
        "classify_bytes": Case({"image_bytes": np.array(files, object)}, expected),
        "classify_examples": Case({"inputs": np.array([_example(file) for file in files], object)}, expected),
    }


def _example(file: bytes) -> bytes:
    """A serialized tf.Example that carries an image file."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    example = tf.train.Example(features=tf.train.Features(feature={_ENCODED: feature}))
    return bytes(example.SerializeToString())
