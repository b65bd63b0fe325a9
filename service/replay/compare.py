"""Two answers held against each other: floats within a tolerance, all else exactly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.core.tensors import Tensor, dtype_name, shape_text
from service.replay.target import UNNAMED


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far floats may be apart: by ``absolute + relative * abs(expected)``."""

    relative: float = 1e-5
    absolute: float = 1e-6


@dataclass(frozen=True, slots=True)
class Difference:
    """Where an output differs: at the place where it does most.

    Attributes:
        output: Its name.
        index: Of the element; ``None`` where the output as a whole is another.
        expected: What was expected, as text.
        got: What came, as text.
        size: How far apart they are; infinite for what is no number.
        count: How many elements of the output differ.
    """

    output: str
    index: tuple[int, ...] | None
    expected: str
    got: str
    size: float
    count: int


def differences(
    expected: Mapping[str, Tensor], got: Mapping[str, Tensor], tolerance: Tolerance, *, flat: bool = False
) -> Iterator[Difference]:
    """Yields what differs, for each output that does.

    Dtypes may differ as long as the values do not, as answers in JSON do not say them: two floats are compared in the
    narrower one.

    Args:
        expected: Outputs by name.
        got: Outputs by name; one that is alone may have none.
        tolerance: Of floats.
        flat: Whether shapes do not matter: values of a regression are [N] or [N, 1].
    """
    expected, got = _named_alike(expected, got), _named_alike(got, expected)
    for name in (*expected, *(name for name in got if name not in expected)):
        one, other = expected.get(name), got.get(name)
        if one is None or other is None:
            yield Difference(name, None, _kind(one), _kind(other), np.inf, 1)
            continue
        if flat:
            one, other = one.ravel(), other.ravel()
        if one.shape != other.shape or _is_text(one) != _is_text(other):
            yield Difference(name, None, _kind(one), _kind(other), np.inf, max(one.size, other.size))
        elif found := _difference(name, one, other, tolerance):
            yield found


def _named_alike(outputs: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if len(outputs) == len(others) == 1 and UNNAMED in outputs:
        return dict(zip(others, outputs.values(), strict=True))
    return outputs


def _difference(name: str, expected: Tensor, got: Tensor, tolerance: Tolerance) -> Difference | None:
    if _is_text(expected):
        wrong = np.asarray(expected != got)
        distances = np.where(wrong, np.inf, 0.0)
    else:
        expected, got = _in_one_dtype(expected, got)
        with np.errstate(invalid="ignore", over="ignore"):
            one, other = _wide(expected), _wide(got)
            distances = np.asarray(np.abs(other - one), np.float64)
            if expected.dtype.kind in "fc":
                same = (expected == got) | (np.isnan(one) & np.isnan(other))
                allowed = tolerance.absolute + tolerance.relative * np.abs(one)
                wrong = np.asarray(~same & ~((distances <= allowed) & np.isfinite(distances)))
            else:
                wrong = np.asarray(expected != got)
        distances = np.where(np.isnan(distances), np.inf, distances)
    if not wrong.any():
        return None
    place = np.unravel_index(int(np.argmax(np.where(wrong, distances, -1.0))), wrong.shape)
    index = tuple(int(each) for each in place)
    size = float(distances[index])
    return Difference(name, index, _shown(expected[index]), _shown(got[index]), size, int(wrong.sum()))


def _in_one_dtype(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Returns two tensors of numbers with the narrower one's dtype where both are floats; an integer may be one too."""
    if dtype_name(one) == "bfloat16" or dtype_name(other) == "bfloat16":
        one, other = (each.astype(one.dtype if dtype_name(one) == "bfloat16" else other.dtype) for each in (one, other))
        return one.astype(np.float32), other.astype(np.float32)
    if "c" in {one.dtype.kind, other.dtype.kind}:
        return one.astype(np.complex128), other.astype(np.complex128)
    floats = [each.dtype for each in (one, other) if each.dtype.kind == "f"]
    if floats:
        narrow = min(floats, key=lambda dtype: dtype.itemsize)
        with np.errstate(over="ignore"):
            return one.astype(narrow), other.astype(narrow)
    return one, other


def _wide(tensor: Tensor) -> Tensor:
    """Returns numbers in a dtype in which they can be subtracted."""
    return tensor if tensor.dtype.kind == "c" else tensor.astype(np.float64)


def _is_text(tensor: Tensor) -> bool:
    return tensor.dtype.kind == "O"


def _kind(tensor: Tensor | None) -> str:
    return "nothing" if tensor is None else f"{dtype_name(tensor)} {shape_text(tensor.shape)}"


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        text = value.decode("utf-8", "backslashreplace")
        return text if len(text) <= 80 else f"{text[:80]}…"
    return str(value)
