"""JSON documents that differ a little from valid ones: as values, and as text."""

import json
import math
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.mutations import PADDING, WORDS, Change, change_some, flipped, moved, mutated_bytes, removed

_VALUES = (None, True, False, 0, 1, -1, 1.5, 1e39, 2**63, 2**64, math.nan, -math.inf, "", "sum")
_SEPARATORS = ((",", ":"), (", ", ": "), (" ,\n", "\t: "))


def mutated_json(data: bytes, random: Random) -> bytes:
    """Returns another document, or what is none any more; it may also be the same one, written otherwise.

    Args:
        data: A valid document.
        random: Says what is changed.
    """
    if random.random() < 0.3:
        return flipped(data, random)
    document = [_Node(None, _nodes(json.loads(data, object_pairs_hook=_Pairs)))]
    change_some(document, _CHANGES, random)
    separators = random.choice(_SEPARATORS)
    changed = ",".join(_written(node.value, separators, random) for node in document).encode("utf-8", "replace")
    if random.random() < 0.02:
        changed += b" " * PADDING
    return changed if random.random() < 0.7 else mutated_bytes(changed, random)


class _Pairs(list[tuple[str, Any]]):
    """What a parser finds in an object."""


class _Object(list["_Node"]):
    """An object's members in their order, of which several may have one name."""


@dataclass(slots=True)
class _Node:
    """A member of an object, or an element of a list, which has no name."""

    name: str | None
    value: Any


def _nodes(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return _Object(_Node(name, _nodes(member)) for name, member in value)
    return [_Node(None, _nodes(element)) for element in value] if isinstance(value, list) else value


def _written(value: Any, separators: tuple[str, str], random: Random) -> str:
    comma, colon = separators
    if isinstance(value, _Object):
        members = (f"{json.dumps(node.name)}{colon}{_written(node.value, separators, random)}" for node in value)
        return f"{{{comma.join(members)}}}"
    if isinstance(value, list):
        return f"[{comma.join(_written(node.value, separators, random) for node in value)}]"
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    return text + random.choice((".0", "e0", "E+0")) if type(value) is int and random.random() < 0.01 else text


def _changed(nodes: list[_Node], index: int, random: Random) -> None:
    nodes[index] = replace(nodes[index], value=_other(nodes[index].value, random))


def _twice(nodes: list[_Node], index: int, random: Random) -> None:
    """Says a member or an element again, the same or otherwise."""
    again = replace(nodes[index])
    if random.random() < 0.7:
        again.value = _other(again.value, random)
    nodes.insert(random.randint(0, len(nodes)), again)


def _added(nodes: list[_Node], index: int, random: Random) -> None:
    name = random.choice(WORDS) if isinstance(nodes, _Object) else None
    nodes.insert(index, _Node(name, random.choice(_VALUES)))


def _renamed(nodes: list[_Node], index: int, random: Random) -> None:
    if isinstance(nodes, _Object):
        nodes[index] = replace(nodes[index], name=random.choice((*WORDS, f"{nodes[index].name}\u00e9")))


def _other(value: Any, random: Random) -> Any:
    if random.random() < 0.3:
        return random.choice((*_VALUES, [], _Object(), [_Node(None, value)]))
    if isinstance(value, str):
        other = mutated_bytes(value.encode(), random).decode("utf-8", "replace")
        return random.choice((other, random.choice(WORDS)))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return random.choice((value + 1, -value, value + 0.5, value * 1e30, value * 1e-50, str(value)))
    if isinstance(value, list):
        return type(value)(random.choice((value[::-1], [*value, *value], value[:-1])))
    return random.choice(_VALUES)


_CHANGES: tuple[Change, ...] = (removed, moved, _changed, _changed, _changed, _twice, _added, _renamed)
