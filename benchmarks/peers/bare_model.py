"""The SavedModel as the peers call it: imported by the scripts beside it, in their environments."""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np


def arguments() -> argparse.Namespace:
    """Reads the flags that every script takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="folder of the SavedModel")
    parser.add_argument("--name", required=True, help="what the model is called")
    parser.add_argument("--rest-port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--call", choices=("function", "session"), required=True, help="see load()")
    parser.add_argument("--max-batch-size", type=int, default=64)
    return parser.parse_args()


def load(folder: str, call: str) -> Callable[[Any], Any]:
    """Returns what maps images, float32 [N, 28, 28, 1], to scores, float32 [N, 10].

    Args:
        folder: Of the SavedModel.
        call: ``function`` for what ``tf.saved_model.load`` gives, which is what documents of TensorFlow and of the
            peers show; ``session`` for a prepared call of a session, which costs less a call.
    """
    import tensorflow as tf  # noqa: PLC0415

    if call == "function":
        signature = tf.saved_model.load(folder).signatures["serving_default"]
        (name,) = signature.structured_input_signature[1]
        (output,) = signature.structured_outputs
        # The signature holds its variables weakly: what was loaded must live as long as it.
        return lambda images: signature(**{name: tf.constant(images)})[output].numpy()
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    definition = loaded.signature_def["serving_default"]
    (fed,), (fetched,) = definition.inputs.values(), definition.outputs.values()
    prepared = session.make_callable(fetched.name, [fed.name])
    return lambda images: np.asarray(prepared(images))
