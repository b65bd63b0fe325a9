"""Tensors and what a model says of them: dtypes, shapes, signatures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Tensor = np.ndarray[Any, np.dtype[Any]]
"""A tensor is a numpy array; strings are arrays of dtype ``object`` that hold ``bytes``."""

Shape = tuple[int | None, ...]
"""Known and free (``None``) dimensions."""


def dtype_name(tensor: Tensor) -> str:
    """Returns TensorFlow's name of the array's dtype, such as ``float32`` or ``string``."""
    return "string" if tensor.dtype.kind in "OSU" else tensor.dtype.name


def shape_text(shape: Shape | None) -> str:
    """Returns the shape as it is shown to people: ``[?, 28, 28, 1]``, or ``any shape``."""
    if shape is None:
        return "any shape"
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What a signature says of one of its tensors.

    Attributes:
        dtype: TensorFlow's name of the dtype.
        shape: The shape, ``None`` when not even the rank is known.
    """

    dtype: str
    shape: Shape | None

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One callable of a SavedModel: named tensors in, named tensors out.

    Attributes:
        method_name: What the exporter calls it, such as ``tensorflow/serving/predict``.
    """

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
