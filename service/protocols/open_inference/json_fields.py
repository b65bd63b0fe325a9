"""Members of JSON objects, with errors that say which one is wrong. ``null`` is as good as none."""

from collections.abc import Mapping
from typing import Any, TypeVar

from service.errors import Violation, invalid_input, shown

Value = TypeVar("Value")

_EXPECTED: Mapping[type, str] = {
    str: "a string",
    list: "a list",
    dict: "an object",
    bool: "true or false",
    int: "an integer",
}


def path(where: str, name: str) -> str:
    """Returns the path of a member."""
    return f"{where}.{name}" if where else name


def required(members: Mapping[str, Any], name: str, kind: type[Value], *, where: str = "") -> Value:
    """Returns a member that must be there.

    Args:
        members: Of the object.
        name: Of the member.
        kind: Its type; exactly this one, so that a boolean is no integer.
        where: Path of the object; empty for the document.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    value = members.get(name)
    if type(value) is not kind:
        got = shown(value) if name in members else "nothing"
        raise invalid_input(Violation(path(where, name), _EXPECTED[kind], got))
    return value


def optional(members: Mapping[str, Any], name: str, kind: type[Value], default: Value, *, where: str = "") -> Value:
    """Returns a member, or the default where there is none.

    Raises:
        GatewayError: INVALID_INPUT when it is of another type.
    """
    return default if members.get(name) is None else required(members, name, kind, where=where)


def as_object(value: Any, *, where: str) -> dict[str, Any]:
    """Returns a value that must be an object.

    Raises:
        GatewayError: INVALID_INPUT.
    """
    if not isinstance(value, dict):
        raise invalid_input(Violation(where, _EXPECTED[dict], shown(value)))
    return value
