"""Nested lists of numbers, as a JSON parser leaves them, to numpy arrays."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from service.core.tensors import Tensor
from service.errors import Violation, invalid_input, shown

_MAX_DEPTH = 8


def decode_numbers(value: object, *, where: str) -> Tensor:
    """Returns the numbers as a float32 array of the lists' shape.

    Args:
        value: A list of finite numbers, or of lists of equal lengths, to at most 8 levels; or an array.
        where: Path of the value, for errors.

    Raises:
        GatewayError: INVALID_INPUT that names the first element that is not as it should be.
    """
    if not isinstance(value, list | np.ndarray):
        raise invalid_input(Violation(where, "a list of numbers", shown(value)))
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError, RecursionError):  # ragged or too deep
        array = np.empty(0, object)
    if array.size == 0 and array.dtype.kind == "f":
        raise invalid_input(Violation(where, "a list of numbers", "an empty list"))
    if array.dtype.kind not in "fiu" or array.ndim > _MAX_DEPTH:
        raise invalid_input(next(_faults(value, where)))
    with np.errstate(over="ignore"):
        narrowed = array.astype(np.float32, copy=False)
    _check_finite(narrowed, array, where=where)
    return narrowed


def _check_finite(narrowed: Tensor, original: Tensor, *, where: str) -> None:
    """Refuses NaN, infinities and what is beyond float32; names the first offending element."""
    finite = np.isfinite(narrowed)
    if finite.all():
        return
    position = np.unravel_index(np.argmin(finite), narrowed.shape)
    path = where + "".join(f"[{index}]" for index in position)
    raise invalid_input(Violation(path, "a finite number within float32", shown(original[position].item())))


def _faults(value: Any, where: str) -> Iterator[Violation]:
    """Yields what keeps nested lists from being an array of numbers; only run once that is known."""
    yield from _element_faults(value, where, depth=1)
    yield Violation(where, "numbers within float64", "a number beyond it")


def _element_faults(values: list[Any], where: str, *, depth: int) -> Iterator[Violation]:
    if depth > _MAX_DEPTH:
        yield Violation(where, f"lists at most {_MAX_DEPTH} deep", "a deeper one")
        return
    first = next(iter(values), None)
    for index, element in enumerate(values):
        path = f"{where}[{index}]"
        if isinstance(first, list) and not isinstance(element, list):
            yield Violation(path, "a list, as its neighbours are", shown(element))
        elif isinstance(first, list) and len(element) != len(first):
            yield Violation(path, f"{len(first)} elements, as in {where}[0]", f"{len(element)}")
        elif isinstance(first, list):
            yield from _element_faults(element, path, depth=depth + 1)
        elif isinstance(element, bool) or not isinstance(element, int | float):
            yield Violation(path, "a number", shown(element))
