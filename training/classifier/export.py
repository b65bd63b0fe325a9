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
_CLASSIFIED = ("scores", "classes")  # TensorFlow Serving's Classify takes a signature with no other outputs
_ENCODED = "image/encoded"  # the feature's usual name in image data sets


def export(model: keras.Model, classes: Sequence[str], folder: Path, dtype: str = "float32") -> None:
    """Writes the SavedModel.

    Args:
        model: from raw pixels, float32 [N,H,W,C], to probabilities; or to these as `scores`, and whatever else it says
            of an image.
        classes: their names, in the order of the probabilities.
        folder: where to.
        dtype: that the weights are stored in; see `training.storage`.
    """
    height, width, channels = model.input_shape[1:]

    def classify(images: Any) -> dict[str, Any]:
        outputs = model(images, training=False)
        outputs = outputs if isinstance(outputs, dict) else {"scores": outputs}
        scores = outputs["scores"]
        with tf.device("/CPU:0"):  # text lives nowhere else
            names = tf.broadcast_to(tf.constant(list(classes)), tf.shape(scores))
        # the shape is lost on the way, and TF Serving's clients read it from the signature
        return {**outputs, "classes": tf.ensure_shape(names, [None, len(classes)])}

    def classify_bytes(image_bytes: Any) -> dict[str, Any]:
        return classify(decode_images(image_bytes, height=height, width=width, channels=channels))

    def classify_examples(inputs: Any) -> dict[str, Any]:
        with tf.device("/CPU:0"):
            features = tf.io.parse_example(inputs, {_ENCODED: tf.io.FixedLenFeature([], tf.string)})
        outputs = classify_bytes(features[_ENCODED])
        return {name: outputs[name] for name in _CLASSIFIED}

    pixels = tf.TensorSpec([None, height, width, channels], tf.float32, "images")
    files = tf.TensorSpec([None], tf.string, "image_bytes")
    examples = tf.TensorSpec([None], tf.string, "inputs")
    signatures = {
        "serving_default": Signature(classify, pixels),
        "classify_bytes": Signature(classify_bytes, files),
        "classify_examples": Signature(classify_examples, examples, METHODS["classify_examples"]),
    }
    save(folder, signatures, variables=model.variables, dtype=dtype)


def cases(
    images: NDArray[np.uint8], answered: Mapping[str, NDArray[np.float32]], classes: Sequence[str]
) -> dict[str, Case]:
    """What every signature must answer for some images.

    Args:
        images: uint8 [N,H,W,C].
        answered: what the trained model says of them, by output; `scores` at least.
        classes: their names.
    """
    files = [tf.io.encode_png(image).numpy() for image in images]
    expected: Mapping[str, Any] = {
        **answered,
        "classes": np.broadcast_to(np.array([name.encode() for name in classes], object), answered["scores"].shape),
    }
    classified = {name: expected[name] for name in _CLASSIFIED}
    return {
        "serving_default": Case({"images": images.astype(np.float32)}, expected),
        "classify_bytes": Case({"image_bytes": np.array(files, object)}, expected),
        "classify_examples": Case({"inputs": np.array([_example(file) for file in files], object)}, classified),
    }


def _example(file: bytes) -> bytes:
    """A serialized tf.Example that carries an image file."""
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[file]))
    example = tf.train.Example(features=tf.train.Features(feature={_ENCODED: feature}))
    return bytes(example.SerializeToString())
