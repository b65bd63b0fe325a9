"""What TensorFlow's C++ writes to standard error while it starts, turned into log entries."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_ERROR = 2


@contextmanager
def logged(logger: logging.Logger) -> Iterator[None]:
    """Logs each line that is written to the file descriptor of standard error during the body, at level DEBUG.

    TensorFlow writes some lines before its logging can be configured, and a log must be readable line by line. The
    handlers of `service.telemetry.logs` have a descriptor of their own, so nothing else is caught.
    """
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(_STANDARD_ERROR)
        os.dup2(caught.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            caught.seek(0)
            for line in caught.read().decode("utf-8", "replace").splitlines():
                logger.debug("tensorflow wrote: %s", line)
