"""SavedModels whose answers tell which one gave them: each multiplies by a factor of its own. Imports tensorflow.

| model | signature | inputs | outputs |
| --- | --- | --- | --- |
| times | serving_default | x float32 [?] | y = factor * x |
| | classify, regress | inputs string [?]: tf.Examples with a feature x | scores [?, 1], outputs [?] = factor * x |
| ahead | serving_default | history float32 [?, 2] | forecast [?, 1] and quantiles [?, 1, 1] = factor * the last value |
| shades | serving_default | images float32 [?, 2, 2, 1] | scores [?, 2] = factor * the first pixel |
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1

NAMES = ("times", "ahead", "shades")

_METHOD = "tensorflow/serving/"
_Signatures = dict[str, tuple[dict[str, Any], dict[str, Any]]]


def save(folder: Path, factor: int) -> None:
    """Writes a version of each model, into a folder of its name."""
    for name, make in zip(NAMES, (_times, _ahead, _shades), strict=True):
        _save(folder / name, make, float(factor))


def _times(factor: float) -> _Signatures:
    x, examples = v1.placeholder(tf.float32, [None]), v1.placeholder(tf.string, [None])
    parsed = factor * v1.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
    return {
        "serving_default": ({"x": x}, {"y": factor * x}),
        "classify": ({"inputs": examples}, {"scores": parsed[:, tf.newaxis]}),
        "regress": ({"inputs": examples}, {"outputs": parsed}),
    }


def _ahead(factor: float) -> _Signatures:
    history = v1.placeholder(tf.float32, [None, 2])
    points = factor * history[:, -1:]
    levels = tf.fill([tf.shape(points)[0], 1], 0.5)
    outputs = {"forecast": points, "quantiles": points[:, :, tf.newaxis], "quantile_levels": levels}
    return {"serving_default": ({"history": history}, outputs)}


def _shades(factor: float) -> _Signatures:
    images = v1.placeholder(tf.float32, [None, 2, 2, 1])
    scores = tf.tile(factor * images[:, 0, 0, :], [1, 2])
    classes = tf.tile([["a", "b"]], [tf.shape(scores)[0], 1])
    return {"serving_default": ({"images": images}, {"scores": scores, "classes": classes})}


def _save(folder: Path, make: Callable[[float], _Signatures], factor: float) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        made = make(factor)
        signatures = {
            name: v1.saved_model.build_signature_def(_infos(inputs), _infos(outputs), _METHOD + "predict")
            for name, (inputs, outputs) in made.items()
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()


def _infos(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in tensors.items()}
