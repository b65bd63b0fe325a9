"""How far two versions' answers to the same request agree: the classes that they name, and the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.core.tasks import ImageClassifier, Task
from service.core.tensors import Tensor

_TINY = 1e-9
_SCORES, _CLASSES = "scores", "classes"


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two answers agree.

    Attributes:
        rows: How many rows name a class in both; 0 for answers that name none.
        changed: How many of these rows name different classes.
        difference: The largest between two numbers, as a part of the larger of both; infinite where an output is
            missing, or has another shape or dtype. 0 for answers without numbers.
    """

    rows: int
    changed: int
    difference: float


def agreement(task: Task | None, expected: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> Agreement:
    """Compares two answers.

    Args:
        task: What the model is for, where it is of the typed API.
        expected: All outputs by name of the version that answered.
        got: Those of the other one.
    """
    difference = max((_difference(tensor, got.get(name)) for name, tensor in expected.items()), default=0.0)
    one, other = _named(task, expected), _named(task, got)
    if one is None:
        return Agreement(0, 0, difference)
    if other is None or other.shape != one.shape:
        return Agreement(len(one), len(one), difference)
    changed = (one != other).reshape(len(one), -1).any(axis=1)
    return Agreement(len(one), int(changed.sum()), difference)


def _named(task: Task | None, outputs: Mapping[str, Tensor]) -> Tensor | None:
    """Returns the classes that an answer names, row by row; ``None`` where it names none."""
    if isinstance(task, ImageClassifier):
        scores, classes = outputs.get(_SCORES), outputs.get(_CLASSES)
        if scores is None or classes is None or scores.shape != classes.shape or not scores.size:
            return None
        return np.take_along_axis(classes, scores.argmax(axis=1)[:, np.newaxis], axis=1)
    texts = [tensor for tensor in outputs.values() if tensor.dtype == object and tensor.ndim]
    return texts[0] if len(texts) == 1 and texts[0].size else None


def _difference(expected: Tensor, got: Tensor | None) -> float:
    if got is None or got.shape != expected.shape or got.dtype != expected.dtype:
        return np.inf
    if expected.dtype == object or not expected.size:
        return 0.0
    if expected.dtype.kind not in "fiucb":  # bfloat16 is none of numpy's own
        expected, got = expected.astype(np.float32), got.astype(np.float32)
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    one, other = expected.astype(wide), got.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one - other)
        found = apart / np.maximum(np.maximum(np.abs(one), np.abs(other)), _TINY)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
    return float(np.max(np.where(same, 0.0, np.where(np.isfinite(found), found, np.inf))))
