"""What the process of a server writes: its log and whatever native code writes on standard error, one line else."""

import contextlib
import logging
import os

from service.core.native_output import STANDARD_OUTPUT
from service.telemetry import logs
from service.telemetry.native import NativeOutput


class Output:
    """Both descriptors of a process, from when it is made.

    Args:
        level: Name of the lowest level to log.
        style: ``json`` or ``text``, of all lines.
    """

    def __init__(self, *, level: str, style: str) -> None:
        self._style = style
        self._standard = os.dup(STANDARD_OUTPUT)
        logs.configure(level=level, style=style)
        self._native = NativeOutput(level=level, style=style)

    def announce(self, text: str) -> None:
        """Writes a line to standard output: for people, where that is a terminal."""
        if self._style == "json" and not os.isatty(self._standard):
            text = logs.as_json(text)
        with contextlib.suppress(OSError):  # nobody reads it: no reason not to serve
            os.write(self._standard, f"{text}\n".encode())

    def close(self) -> None:
        """Waits until all that was written is out."""
        logging.shutdown()
        self._native.close()
