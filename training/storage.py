"""Weights that a SavedModel stores in fewer bits than it computes with: float16, or int8 with a scale per channel.

They are widened inside the graph, at every run. That makes a large model smaller, and none faster: TensorFlow Serving
runs SavedModels, for which TensorFlow has no operations that multiply 8-bit numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_KERNEL = "kernel"  # with which Keras ends the names of what inputs are multiplied by
_DEPTHWISE = "depthwise_kernel"  # whose last two dimensions are outputs
_LARGEST_INT8 = 127  # as far down as up, so that zero stays zero


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """One variable of a network, as it is stored.

    Attributes:
        variable: the network's.
        values: `tf.Variable` of the same shape.
        scale: `tf.Variable` float32 that int8 values are multiplied by, one for each output channel.
    """

    variable: keras.Variable
    values: Any
    scale: Any = None

    @property
    def parts(self) -> list[Any]:
        """The `tf.Variable`s."""
        return [self.values] if self.scale is None else [self.values, self.scale]

    def widened(self) -> Any:
        """What the network computes with."""
        wide = tf.cast(self.values, self.variable.dtype)
        return wide if self.scale is None else wide * self.scale


def stored(variables: Sequence[keras.Variable], dtype: str) -> list[StoredVariable]:
    """Stores a network's variables.

    Kernels are stored in fewer bits. All else (biases, running means, what is computed with in other ways) stays as it
    is: it is small, and errors in it are not averaged away. So does what has no finite value in float16.

    Args:
        variables: of the network.
        dtype: `float32`, `float16` or `int8`.
    """
    return [_stored(variable, dtype) for variable in variables]


def _stored(variable: keras.Variable, dtype: str) -> StoredVariable:
    values = np.asarray(variable)
    if values.dtype == np.float32 and values.ndim >= 2 and variable.name.endswith(_KERNEL):
        if dtype == "int8":
            inputs = values.ndim - (2 if variable.name == _DEPTHWISE else 1)
            largest = np.abs(values).max(axis=tuple(range(inputs)), keepdims=True)
            scale = np.where(largest > 0, largest / _LARGEST_INT8, 1).astype(np.float32)
            return StoredVariable(variable, tf.Variable(np.rint(values / scale).astype(np.int8)), tf.Variable(scale))
        if dtype == "float16" and np.abs(values).max() <= np.finfo(np.float16).max:
            return StoredVariable(variable, tf.Variable(values.astype(np.float16)))
    return StoredVariable(variable, variable.value)
