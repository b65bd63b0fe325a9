"""What native code writes to standard error: a part of it is no news, which is said here to who turns it into entries.

Marks in the output itself, as what was written before them may be read only after them (`service.telemetry.native`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
QUIET, LOUD, END = "quiet", "loud", "end"
"""Before and after what is no news; and after the last line of a process that has ended."""

_secret: str | None = None


def mark(secret: str | None) -> None:
    """Says with what marks begin for whoever reads them; `None` where nobody does.

    Clients can have native code write what they like, and are not to know it.
    """
    global _secret  # noqa: PLW0603  # as standard error, it is the process's
    _secret = secret


def secret() -> str | None:
    """Returns with what they begin, for a process that writes to the same standard error."""
    return _secret


def mark_end() -> None:
    """Has what is written from now on logged as ever, whatever was written by a process that has ended."""
    _write(END)


@contextmanager
def quiet() -> Iterator[None]:
    """Has what native code writes meanwhile logged at level DEBUG; but what it writes when it gives up as ever."""
    _write(QUIET)
    try:
        yield
    finally:
        _write(LOUD)


def _write(mark: str) -> None:
    if _secret is not None:
        os.write(STANDARD_ERROR, f"\0{_secret}{mark}\n".encode())
