"""Writes a SavedModel that describes itself and needs nothing but TensorFlow to run."""

import errno
import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"
_OF_FILES = {os.strerror(code): code for code in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM)}
"""The errors of files that TensorFlow tells by their texts."""
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"  # in each checkpoint; says which object has which variable


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


def save(
    folder: Path, signatures: Mapping[str, Signature], *, variables: Sequence[Any], dtype: str = "float32"
) -> None:
    """Writes the SavedModel.

    What is saved is a bare module with the variables: no Keras object and no Python function has to be found again
    when it is loaded.

    Args:
        folder: where to; an existing folder is filled.
        signatures: by name.
        variables: the Keras variables that the functions read.
        dtype: that their values are stored in: `float32`, `float16` or `int8`.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    import keras
    import tensorflow as tf

    from training.storage import stored

    found = stored(variables, dtype)
    narrow = [one for one in found if one.values is not one.variable.value]

    def widening(function: Callable[[Any], Mapping[str, Any]]) -> Callable[[Any], Mapping[str, Any]]:
        def widened(values: Any) -> Mapping[str, Any]:
            with keras.StatelessScope([(one.variable, one.widened()) for one in narrow]):
                return function(values)

        return widened if narrow else function

    module = tf.Module()
    module.variables_read = [part for one in found for part in one.parts]
    concrete = {
        name: tf.function(widening(signature.function), input_signature=[signature.input]).get_concrete_function()
        for name, signature in signatures.items()
    }
    try:
        tf.saved_model.save(module, str(folder), signatures=concrete)
        updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(folder))
        for name, signature in signatures.items():
            if signature.method:
                updater.replace_method_name(signature_key=name, method_name=signature.method, tags="serve")
        updater.save()
    except (tf.errors.ResourceExhaustedError, tf.errors.PermissionDeniedError) as error:
        code = _OF_FILES.get(error.message.rpartition("; ")[2])
        if code is None:  # it is memory that is exhausted
            raise
        raise OSError(code, os.strerror(code), str(folder)) from error


def weights_digest(folder: Path) -> str:
    """The SHA-256 of a SavedModel's variables, in the order of their names: as equal as the models are, to the bit."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    digest = hashlib.sha256()
    for name in sorted(reader.get_variable_to_dtype_map()):
        if name != _OBJECT_GRAPH:
            digest.update(name.encode() + b"\0" + reader.get_tensor(name).tobytes())
    return digest.hexdigest()
