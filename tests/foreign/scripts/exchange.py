"""Lines of JSON between a test and the script that speaks for a client. Needs numpy alone, which every client has."""

import base64
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

_ARRAY, _BYTES = "$array", "$bytes"


class UnsupportedError(Exception):
    """The client has no way to say this."""


def dump(value: Any) -> str:
    """Returns a value as a line; arrays and bytes may be anywhere in it."""
    return json.dumps(value, default=_described)


def load(line: str) -> Any:
    """Returns the value of a line."""
    return json.loads(line, object_hook=_restored)


def _described(value: Any) -> Any:
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        items = value.ravel().tolist() if value.dtype.kind in "OSU" else value.tobytes()
        return {_ARRAY: items, "dtype": value.dtype.name, "shape": value.shape}
    raise TypeError(f"a {type(value).__name__} cannot be exchanged")


def _restored(members: dict[str, Any]) -> Any:
    if _BYTES in members:
        return base64.b64decode(members[_BYTES])
    if _ARRAY not in members:
        return members
    items, shape = members[_ARRAY], members["shape"]
    if isinstance(items, bytes):
        return np.ndarray(shape, np.dtype(members["dtype"]), items).copy()
    array = np.empty(len(items), object)
    array[:] = [item.encode() if isinstance(item, str) else item for item in items]
    return array.reshape(shape)


async def serve(ask: Callable[..., Awaitable[Any]], status_of: Callable[[Exception], Any]) -> None:
    """Answers each line of standard input with one: what came of it, or what the client raised.

    Args:
        ask: Takes the members of a line.
        status_of: Returns the status that an exception of the client carries.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr  # what the client prints is no answer
    for line in sys.stdin:
        try:
            answer = dump({"value": await ask(**load(line))})
        except Exception as error:
            raised = {"raised": type(error).__name__, "message": str(error), "status": status_of(error)}
            answer = dump(raised)
        answers.write(answer + "\n")
        answers.flush()
