"""Nested lists of numbers, as a JSON parser leaves them, to numpy arrays."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from service.core.tensors import Tensor
from service.errors import Violation, invalid_input, shown

_MAX_DEPTH = 8


def decode_numbers(value: object, *, where: str) -> Tensor:
    """Returns the numbers as a float32 array of the lists' shape.

    Args:
        value: A list of finite numbers, or of lists of equal lengths, to at most 8 levels; or an array of numbers.
        where: Path of the value, for errors.

    Raises:
        GatewayError: INVALID_INPUT that names the first element that is not as it should be.
    """
    array = value if isinstance(value, np.ndarray) else _array(value, where)
    if array.size == 0:
        raise invalid_input(Violation(where, "a list of numbers", "an empty list"))
    with np.errstate(over="ignore"):
        narrowed = array.astype(np.float32, copy=False)
    _check_finite(narrowed, array, where=where)
    return narrowed


def _array(value: object, where: str) -> Tensor:
    """Returns nested lists as a float64 array.

    The types are looked at level by level, in bulk, rather than left to numpy: it would make numbers of booleans and of
    strings, and of one long string among many numbers an array of many long strings.
    """
    if not isinstance(value, list):
        raise invalid_input(Violation(where, "a list of numbers", shown(value)))
    level: list[Any] = value
    shape = [len(value)]
    while (types := set(map(type, level))) == {list}:
        lengths = set(map(len, level))
        if len(lengths) > 1 or len(shape) == _MAX_DEPTH:
            raise invalid_input(_fault(value, where))
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    if not types <= {int, float}:
        raise invalid_input(_fault(value, where))
    try:
        return np.array(level, np.float64).reshape(shape)
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


def _fault(values: list[Any], where: str) -> Violation:
    """Returns the first thing that keeps nested lists from being an array of numbers; only run once one does."""
    lengths: list[int] = []
    first: Any = values
    while isinstance(first, list) and len(lengths) <= _MAX_DEPTH:
        lengths.append(len(first))
        first = first[0] if first else None
    if len(lengths) > _MAX_DEPTH:
        return Violation(where, f"lists at most {_MAX_DEPTH} deep", "a deeper one")
    return next(_faults(values, where, lengths), Violation(where, "a list of numbers", "something else"))


def _faults(value: Any, where: str, lengths: list[int]) -> Iterator[Violation]:
    """Yields what differs from the lengths that the first list of each level has."""
    if not lengths:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Violation(where, "a number", shown(value))
    elif not isinstance(value, list):
        yield Violation(where, f"a list of {lengths[0]}, as the first one has", shown(value))
    elif len(value) != lengths[0]:
        yield Violation(where, f"{lengths[0]} elements, as the first one has", str(len(value)))
    else:
        for index, element in enumerate(value):
            yield from _faults(element, f"{where}[{index}]", lengths[1:])
