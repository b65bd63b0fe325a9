"""What is changed in valid messages of any format: bytes, and the order and number of a list's elements."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Change = Callable[[list[Any], int, Random], None]
"""Changes a list at a place in it."""

PADDING = 300_000
"""Bytes: more than what is decoded at once, so that a thread does it."""
WORDS = (
    *("sum", "text", "scales", "several", "judge", "shades", "steps", "double", "halve", "classify", "regress"),
    *("a", "b", "x", "stable", "1", "2", "", "serving_default", "FP32", "INT8", "BYTES", "signature_name"),
)
"""What stands for something where it is asked for, and for nothing elsewhere."""


def flipped(data: bytes, random: Random) -> bytes:
    """Returns bytes of which one has another bit."""
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def mutated_bytes(data: bytes, random: Random) -> bytes:
    """Returns other bytes: one of them flipped, a few more, or a few less."""
    at, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    match random.randrange(7):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + data[min(end, at + 4) :]
        case 2:
            return data[:at] + random.randbytes(random.randint(1, 4)) + data[at:]
        case 3:
            return data[:end] + data[at:]  # what lies between the two stands there twice
        case _:
            return flipped(data, random)


def change_some(elements: list[Any], changes: Sequence[Change], random: Random) -> None:
    """Makes a few changes, or none, at places in the list or in lists that its elements have as their values."""
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        change_one(elements, changes, random)


def change_one(elements: list[Any], changes: Sequence[Change], random: Random) -> None:
    """Makes a change at a place in the list or in lists that its elements have as their values."""
    if places := list(_places(elements)):
        random.choice(changes)(*random.choice(places), random)


def _places(elements: list[Any]) -> Iterator[tuple[list[Any], int]]:
    for index, element in enumerate(elements):
        yield elements, index
        if isinstance(element.value, list):
            yield from _places(element.value)


def removed(elements: list[Any], index: int, random: Random) -> None:
    """Leaves one out."""
    del elements[index]


def moved(elements: list[Any], index: int, random: Random) -> None:
    """Puts one somewhere else."""
    element = elements.pop(index)
    elements.insert(random.randint(0, len(elements)), element)
