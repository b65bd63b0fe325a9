"""Nested lists, as a JSON parser leaves them: their shape and their leaves, level by level rather than one by one."""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain
from typing import Any

from service.errors import Violation, invalid_input, shown


@dataclass(frozen=True, slots=True)
class Leaves:
    """What the innermost values must be.

    Attributes:
        types: Their Python types; exactly these, so that a boolean is no integer.
        expected: What an error calls one of them, such as ``a number``.
    """

    types: Set[type]
    expected: str


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
