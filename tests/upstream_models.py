"""The models that TensorFlow Serving's recorded answers are about, built anew: y = x / 2 + 2 and the like.

Names of signatures and of tensors are upstream's, as answers hold them. Imports tensorflow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1
METHODS = {"predict": "tensorflow/serving/predict", "regress": "tensorflow/serving/regress"}
CLASSIFY = "tensorflow/serving/classify"


def save_half_plus_two(folder: Path, *, without: str = "") -> Path:
    """Writes y = x / 2 + 2, with signatures that regress and classify examples, as upstream's first model has them.

    Args:
        folder: Of the version.
        without: Name of a signature to leave out, as one of upstream's models does.
    """
    with _session() as session:
        half = v1.get_variable("a", initializer=0.5)
        serialized = v1.placeholder(tf.string, name="tf_example")
        features = {name: tf.io.FixedLenFeature([1], tf.float32, [0.0]) for name in ("x", "x2")}
        parsed = v1.io.parse_example(serialized, features, name="ParseExample")
        x, x2 = (tf.identity(tf.reshape(parsed[name], [-1, 1]), name=name) for name in ("x", "x2"))
        y = tf.add(tf.multiply(half, x), 2.0, name="y")
        y2 = tf.add(tf.multiply(half, x), 3.0, name="y2")
        y3 = tf.add(tf.multiply(half, x2), 3.0, name="y3")
        session.run(v1.global_variables_initializer())
        signatures = {
            "serving_default": _signature({"x": x}, {"y": y}, METHODS["predict"]),
            "regress_x_to_y": _signature({"inputs": serialized}, {"outputs": y}, METHODS["regress"]),
            "regress_x_to_y2": _signature({"inputs": serialized}, {"outputs": y2}, METHODS["regress"]),
            "regress_x2_to_y3": _signature({"inputs": x2}, {"outputs": y3}, METHODS["regress"]),
            "classify_x_to_y": _signature({"inputs": serialized}, {"scores": y}, CLASSIFY),
            "classify_x2_to_y3": _signature({"inputs": x2}, {"scores": y3}, CLASSIFY),
        }
        signatures.pop(without, None)
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    return folder


class HalfPlusTwo(tf.Module):  # type: ignore[misc]
    """The same in TensorFlow 2, for exactly one number, which need not be given."""

    @tf.function(input_signature=[tf.TensorSpec([1], tf.float32, name="x")])
    def predict(self, x: Any) -> dict[str, Any]:
        return {"y": x * 0.5 + 2.0}


def save_half_plus_two_of_tf2(folder: Path) -> Path:
    """Writes the model of TensorFlow 2."""
    module = HalfPlusTwo()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.predict})
    with _signature_of(folder, "serving_default") as signature:
        signature.defaults["x"].CopyFrom(tf.make_tensor_proto([0.0]))
    return folder


def forget_shape(folder: Path, signature: str, name: str) -> Path:
    """Has a version's signature say nothing of an input's shape, so that whatever comes reaches the graph."""
    with _signature_of(folder, signature) as definition:
        definition.inputs[name].tensor_shape.Clear()
        definition.inputs[name].tensor_shape.unknown_rank = True
    return folder


@contextmanager
def _signature_of(folder: Path, name: str) -> Iterator[Any]:
    """Lets the body change a signature of a version on disk."""
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    yield model.meta_graphs[0].signature_def[name]
    file.write_bytes(model.SerializeToString())


def _signature(inputs: dict[str, Any], outputs: dict[str, Any], method: str) -> Any:
    def infos(tensors: dict[str, Any]) -> dict[str, Any]:
        return {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in tensors.items()}

    return v1.saved_model.build_signature_def(infos(inputs), infos(outputs), method)


@contextmanager
def _session() -> Iterator[Any]:
    with tf.Graph().as_default(), v1.Session() as session:
        yield session
