"""Files of an operator's, read so that nobody waits for ever."""

import os
import stat
from pathlib import Path


def read_plain_file(path: Path) -> bytes:
    """Returns what is in a file.

    Raises:
        OSError: When it cannot be read, or is something else, such as a pipe, for whose writer one might wait for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is not a file")
        return file.read()
