"""Whatever is written to standard error or output past the logs, such as by TensorFlow's C++, becomes entries of them.

The two descriptors are given a pipe that `native_relay` reads, a process of its own: what native code writes just
before it aborts this one comes out too.
"""

import contextlib
import faulthandler
import fcntl
import logging
import os
import secrets
import subprocess
import sys
from pathlib import Path

from service.core import native_output
from service.core.native_output import STANDARD_ERROR, STANDARD_OUTPUT
from service.telemetry import native_relay

logger = logging.getLogger(__name__)

_LAST_WORDS_SECONDS = 2.0
_PIPE_BYTES = 4096
"""As few as can be: who gives up mostly writes more, and so does not end before the relay has begun to read."""


class NativeOutput:
    """Relays, from when it is made, what is written to both descriptors; our own logs have one of their own.

    Args:
        level: Name of the lowest level to log.
        style: ``json`` or ``text``.
    """

    def __init__(self, *, level: str, style: str) -> None:
        self._kept: dict[int, int] = {}
        program = str(Path(native_relay.__file__).resolve())
        secret = secrets.token_hex(8)
        reading, writing = os.pipe()
        with contextlib.suppress(OSError):  # then it is larger
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            self._relay = subprocess.Popen(
                [sys.executable, "-I", "-S", program, style, level, secret], stdin=reading, stdout=STANDARD_ERROR
            )
        except OSError as error:  # too many processes, or no memory
            logger.warning("what native code writes is no entry of the log: %s", error.strerror)
        else:
            for descriptor in (STANDARD_OUTPUT, STANDARD_ERROR):
                self._kept[descriptor] = os.dup(descriptor)
                os.dup2(writing, descriptor)
            native_output.mark(secret)
            faulthandler.enable(STANDARD_ERROR)  # where Python was, when native code gives up
        finally:
            os.close(reading)
            os.close(writing)

    def close(self) -> None:
        """Gives the descriptors back, and waits until all that was written is out."""
        if not self._kept:
            return
        native_output.mark(None)
        while self._kept:
            descriptor, kept = self._kept.popitem()
            os.dup2(kept, descriptor)
            os.close(kept)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._relay.wait(_LAST_WORDS_SECONDS)
