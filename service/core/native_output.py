"""What native code writes to standard error: a part of it is no news, which is said here to who turns it into entries.

Marks in the output itself, as what was written before them may be read only after them (`service.telemetry.native`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
QUIET, LOUD = b"\0quiet\n", b"\0loud\n"
"""Before and after what is no news."""

_marked = False


def mark(wanted: bool) -> None:
    """Says whether anybody reads the marks."""
    global _marked  # noqa: PLW0603  # as standard error, it is the process's
    _marked = wanted


@contextmanager
def quiet() -> Iterator[None]:
    """Has what native code writes meanwhile logged at level DEBUG; but what it writes when it gives up as ever."""
    _write(QUIET)
    try:
        yield
    finally:
        _write(LOUD)


def _write(text: bytes) -> None:
    if _marked:
        os.write(STANDARD_ERROR, text)
