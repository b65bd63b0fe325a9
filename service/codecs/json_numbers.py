"""Nested lists of finite numbers, as the typed API takes them, to numpy arrays."""

import numpy as np

from service.codecs.json_arrays import NumericArray, as_lists
from service.codecs.nested import Leaves, flattened
from service.core.tensors import Tensor
from service.errors import Violation, invalid_input, shown

_MAX_DEPTH = 8
_NUMBERS = Leaves({int, float}, "a number")


def decode_numbers(value: object, *, where: str) -> Tensor:
    """Returns the numbers as a float32 array of the lists' shape.

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
    with np.errstate(over="ignore"):
        narrowed = array.astype(np.float32, copy=False)
    _check_finite(narrowed, array, where=where)
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
