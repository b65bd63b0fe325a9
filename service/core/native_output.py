"""What native code writes to standard error: a part of it is no news, which is said here to who turns it into entries.

Marks in the output itself, as what was written before them may be read only after them (`service.telemetry.native`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
QUIET, LOUD = "quiet", "loud"
"""Before and after what is no news."""

_secret: str | None = None


def mark(secret: str | None) -> None:
    """Says with what marks begin for whoever reads them; `None` where nobody does.

    Clients can have native code write what they like, and are not to know it.
    """
    global _secret  # noqa: PLW0603  # as standard error, it is the process's
    _secret = secret


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
