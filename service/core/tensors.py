"""Tensors and what a model says of them: dtypes, shapes, signatures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

Tensor = np.ndarray[Any, np.dtype[Any]]
"""A tensor is a numpy array; strings are arrays of dtype ``object`` that hold ``bytes``."""

Shape = tuple[int | None, ...]
"""Known and free (``None``) dimensions."""

MAX_RANK = 64
"""The most dimensions that a numpy array can have."""

STRING = "string"

NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = {
    **{
        name: np.dtype(name)
        for name in (
            *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "complex64", "complex128"),
        )
    },
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    STRING: np.dtype(object),
}
"""The dtypes that can be served, by TensorFlow's name."""


_NAMES = {dtype: name for name, dtype in NUMPY_DTYPES.items()}
"""numpy builds the name of a dtype at each access, which costs more than the rest of a check."""


def dtype_name(tensor: Tensor) -> str:
    """Returns TensorFlow's name of the array's dtype, such as ``float32`` or ``string``."""
    return _NAMES.get(tensor.dtype) or (STRING if tensor.dtype.kind in "SU" else tensor.dtype.name)


def byte_size(tensors: Iterable[Tensor]) -> int:
    """Returns how many bytes the tensors take, those of their strings included."""
    return sum(sum(map(len, tensor.ravel())) if tensor.dtype.kind == "O" else tensor.nbytes for tensor in tensors)


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
        tensor_name: What the graph calls it, such as ``serving_default_x:0``; empty where there is no graph.
        numpy_dtype: The same dtype as numpy has it; ``None`` for one that cannot be served.
    """

    dtype: str
    shape: Shape | None
    tensor_name: str = ""
    numpy_dtype: np.dtype[Any] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numpy_dtype", NUMPY_DTYPES.get(self.dtype))

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One callable of a SavedModel: named tensors in, named tensors out.

    Attributes:
        method_name: What the exporter calls it, such as ``tensorflow/serving/predict``.
        defaults: The values of inputs that need not be given.
        batchable: Whether it works row by row as far as it says: the first dimension of every tensor is free.
        defaults_known: Whether there are no others; else any input may be left out, and the backend judges that.
    """

    name: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    defaults: Mapping[str, Tensor] = field(default_factory=dict)
    defaults_known: bool = True
    batchable: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        specs = (*self.inputs.values(), *self.outputs.values())
        free = all(spec.shape and spec.shape[0] is None for spec in specs)
        object.__setattr__(self, "batchable", bool(self.inputs) and free)

    def is_required(self, name: str) -> bool:
        """Returns whether this input has to be given, as far as that is known here."""
        return self.defaults_known and name not in self.defaults

    def with_defaults(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Returns the inputs, and the defaults of those that were left out."""
        return {**self.defaults, **inputs} if self.defaults else inputs
