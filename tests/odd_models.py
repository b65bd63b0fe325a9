"""SavedModels as few write them, by TensorFlow's own API of versions 1 and 2. Imports tensorflow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1


@contextmanager
def graph() -> Iterator[Any]:
    """Yields a session with a graph of its own, to build in."""
    with tf.Graph().as_default(), v1.Session() as session:
        yield session


def signature(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    """Returns a signature of tensors by name."""
    infos = [
        {name: v1.saved_model.build_tensor_info(tensor) for name, tensor in tensors.items()}
        for tensors in (inputs, outputs)
    ]
    return v1.saved_model.build_signature_def(*infos, "tensorflow/serving/predict")


def write(folder: Path, session: Any, **signatures: Any) -> Path:
    """Writes a version with what was built."""
    builder = v1.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
    builder.save()
    return folder


def rewrite_as_text(version: Path) -> Path:
    """Has a version's graph as text, in place of the binary file."""
    binary = version / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(binary.read_bytes())
    (version / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
    binary.unlink()
    return version


def save_echoes(folder: Path) -> Path:
    """Writes a version with signatures that return their own placeholder ``x``, float32 [?] or string [?].

    ``serving_default`` and ``texts`` return it as ``y``, and nothing else; ``more`` as ``b``, between ``a`` and ``c``,
    which are 2 x.
    """
    with graph() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        text = v1.placeholder(tf.string, [None], name="text")
        short = signature({"x": x}, {"y": x})
        short.outputs["y"].name = "x"  # which is x:0
        return write(
            folder,
            session,
            serving_default=short,
            texts=signature({"x": text}, {"y": text}),
            more=signature({"x": x}, {"a": 2 * x, "b": x, "c": 2 * x}),
        )


def save_unservable(folder: Path, *, servable: bool) -> Path:
    """Writes a version with signatures that cannot be served, each for a reason of its own, by which it is named.

    Args:
        folder: Of the version.
        servable: Whether it also has ``negate``, which takes x float32 [?] and returns y = -x.
    """
    with graph() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        plain = signature({"x": x}, {"y": -x})
        signatures = {
            "sparse": signature({"x": v1.sparse_placeholder(tf.float32, name="sparse")}, {"y": x}),
            "ragged": signature({"x": x}, {"y": tf.ragged.constant([[1.0], []])}),
            "resource": signature({"x": v1.placeholder(tf.resource, [], name="resource")}, {"y": -x}),
            "quint8": signature({"x": x}, {"y": tf.quantization.quantize(x, 0.0, 1.0, tf.quint8)[0]}),
            **{name: copied(plain) for name in ("serving_default", "twice", "bad_default", "other_default")},
        }
        signatures["serving_default"].outputs["y"].name = "nowhere:0"
        signatures["twice"].inputs["again"].CopyFrom(plain.inputs["x"])
        signatures["bad_default"].defaults["x"].CopyFrom(tf.make_tensor_proto([1.0]))
        signatures["bad_default"].defaults["x"].tensor_content = b"half"[:2]
        signatures["other_default"].defaults["x"].CopyFrom(tf.make_tensor_proto(1.0))
        return write(folder, session, **signatures, **({"negate": plain} if servable else {}))


def copied(definition: Any) -> Any:
    """Returns a signature of its own that is the same."""
    copy = type(definition)()
    copy.CopyFrom(definition)
    return copy
