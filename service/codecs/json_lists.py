"""Nested lists, as a JSON parser leaves them: their leaves and their shape, and those of finite numbers as an array."""

import contextvars
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from service.codecs.json_arrays import NumericArray, as_lists
from service.core.tensors import Tensor
from service.errors import Violation, invalid_input, shown

_MAX_DEPTH = 8
_QUIET = contextvars.Context()
"""Where numpy does not warn of a number that is beyond a dtype: entered at a third of what `numpy.errstate` costs."""
_QUIET.run(np.seterr, over="ignore")


@dataclass(frozen=True, slots=True)
class Leaves:
    """What the innermost values must be.

    Attributes:
        types: Their Python types; exactly these, so that a boolean is no integer.
        expected: What an error calls one of them, such as ``a number``.
    """

    types: Set[type]
    expected: str


_NUMBERS = Leaves({int, float}, "a number")


def flattened(value: Any, leaves: Leaves, *, max_depth: int, where: str) -> tuple[list[Any], tuple[int, ...]]:
    """Returns the leaves in row-major order, and the shape; a value that is no list has the shape ().

    Args:
        value: A leaf, or lists of equal lengths within each other.
        leaves: What the innermost values must be.
        max_depth: How many lists may be within each other.
        where: Path of the value, for errors.

    Raises:
        GatewayError: INVALID_INPUT that names the first element that is not as it should be.
    """
    level, shape = [value], list[int]()
    while (types := set(map(type, level))) == {list}:
        lengths = set(map(len, level))
        if len(lengths) > 1 or len(shape) == max_depth:
            raise invalid_input(_fault(value, leaves, max_depth, where))
        shape.append(lengths.pop())
        level = level[0] if len(level) == 1 else list(chain.from_iterable(level))
    if not types <= leaves.types:
        raise invalid_input(_fault(value, leaves, max_depth, where))
    return level, tuple(shape)


def decode_numbers(value: object, *, where: str) -> Tensor:
    """Returns numbers as the typed API takes them: as a float32 array of the lists' shape.

    Args:
        value: A list of finite numbers, or of lists of equal lengths, to at most 8 levels, as a JSON parser or
            `parse_arrays` made it; or an array of numbers.
        where: Path of the value, for errors.

    Raises:
        GatewayError: INVALID_INPUT that names the first element that is not as it should be.
    """
    if isinstance(value, NumericArray):
        value = value.values.astype(np.float64, copy=False) if value.values.ndim <= _MAX_DEPTH else as_lists(value)
    array = value if isinstance(value, np.ndarray) else _array(value, where)
    if array.size == 0:
        raise invalid_input(Violation(where, "a list of numbers", "an empty list"))
    narrowed = narrowed_to(np.dtype(np.float32), array)
    _check_finite(narrowed, array, where=where)
    return narrowed


def narrowed_to(dtype: "np.dtype[Any]", numbers: Tensor) -> Tensor:
    """Returns the numbers in a dtype; those that are beyond it become infinite."""
    narrowed: Tensor = _QUIET.copy().run(numbers.astype, dtype, copy=False)
    return narrowed


def _array(value: object, where: str) -> Tensor:
    if not isinstance(value, list):
        raise invalid_input(Violation(where, "a list of numbers", shown(value)))
    numbers, shape = flattened(value, _NUMBERS, max_depth=_MAX_DEPTH, where=where)
    try:
        return np.array(numbers, np.float64).reshape(shape)
    except OverflowError:
        raise invalid_input(Violation(where, "numbers within float64", "an integer beyond it")) from None


def _check_finite(narrowed: Tensor, original: Tensor, *, where: str) -> None:
    """Refuses NaN, infinities and what is beyond float32; names the first offending element."""
    finite = np.isfinite(narrowed)
    if finite.all():
        return
    position = np.unravel_index(np.argmin(finite), narrowed.shape)
    path = where + "".join(f"[{index}]" for index in position)
    raise invalid_input(Violation(path, "a finite number within float32", shown(original[position].item())))


def _fault(value: Any, leaves: Leaves, max_depth: int, where: str) -> Violation:
    """Returns the first thing that is wrong; only run once something is."""
    lengths: list[int] = []
    first = value
    while isinstance(first, list) and len(lengths) <= max_depth:
        lengths.append(len(first))
        first = first[0] if first else None
    if len(lengths) > max_depth:
        return Violation(where, f"lists at most {max_depth} deep", "a deeper one")
    return next(_faults(value, leaves, where, lengths), Violation(where, f"lists of {leaves.expected}", "others"))


def _faults(value: Any, leaves: Leaves, where: str, lengths: list[int]) -> Iterator[Violation]:
    """Yields what differs from the lengths that the first list of each level has."""
    if not lengths:
        if type(value) not in leaves.types:
            yield Violation(where, leaves.expected, shown(value))
    elif not isinstance(value, list):
        yield Violation(where, f"a list of {lengths[0]}, as the first one has", shown(value))
    elif len(value) != lengths[0]:
        yield Violation(where, f"{lengths[0]} elements, as the first one has", str(len(value)))
    else:
        for index, element in enumerate(value):
            yield from _faults(element, leaves, f"{where}[{index}]", lengths[1:])
