"""Writes a SavedModel that describes itself and needs nothing but TensorFlow to run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


@dataclass(frozen=True, slots=True)
class Signature:
    """One entrance of a model.

    Attributes:
        function: takes the input tensor, returns the output tensors by name.
        input: its `tf.TensorSpec`; the name of the spec is the name of the input.
        method: the method name TF Serving looks for before it answers Classify or Regress; empty for Predict.
    """

    function: Callable[[Any], Mapping[str, Any]]
    input: Any
    method: str = ""


def save(folder: Path, signatures: Mapping[str, Signature], *, variables: Sequence[Any]) -> None:
    """Writes the SavedModel.

    What is saved is a bare module with the variables: no Keras object and no Python function has to be found again
    when it is loaded.

    Args:
        folder: where to; an existing folder is filled.
        signatures: by name.
        variables: the `tf.Variable`s that the functions read.
    """
    import tensorflow as tf

    module = tf.Module()
    module.variables_read = list(variables)
    concrete = {
        name: tf.function(signature.function, input_signature=[signature.input]).get_concrete_function()
        for name, signature in signatures.items()
    }
    tf.saved_model.save(module, str(folder), signatures=concrete)
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
    for name, signature in signatures.items():
        if signature.method:
            updater.replace_method_name(signature_key=name, method_name=signature.method, tags="serve")
    updater.save()
