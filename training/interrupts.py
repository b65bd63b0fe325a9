"""Turns Ctrl-C and SIGTERM into one exception, so that an interrupted run cleans up after itself."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raises KeyboardInterrupt in the block at the first signal; later ones cannot disturb the cleaning up."""
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_interrupts() -> None:
    """From here on it is too late to interrupt: what follows is done in a moment, and must not be done by half."""
    if (
        threading.current_thread() is threading.main_thread()
    ):  # only there can handlers be set, and only there do they run
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    ignore_interrupts()
    raise KeyboardInterrupt
