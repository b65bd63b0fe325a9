"""Files of operators and of models: reading them never blocks for ever, and they are replaced whole or not at all."""

import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from service.errors import ErrorKind, GatewayError


def open_plain_file(path: Path) -> BufferedReader:
    """Opens a file to read.

    Raises:
        OSError: When it cannot be read, or is something else, such as a pipe, for whose writer one might wait for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is not a file")
    return os.fdopen(descriptor, "rb")


def read_plain_file(path: Path) -> bytes:
    """Returns what is in a file.

    Raises:
        OSError: As `open_plain_file` does.
    """
    with open_plain_file(path) as file:
        return file.read()


def read_plain_text(path: Path, name: str) -> str:
    """Returns the text of a file.

    Args:
        path: The file's.
        name: What it is called in errors.

    Raises:
        GatewayError: MALFORMED when it cannot be read, or is not UTF-8.
    """
    try:
        return read_plain_file(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise GatewayError(ErrorKind.MALFORMED, f"{name}: {reason}") from None


def replace_plain_file(path: Path, data: bytes) -> None:
    """Replaces what is in a file as a whole or not at all, as others read it at any time; makes it where there is none.

    It is for one writer at a time. The rights of the file stay.

    Raises:
        OSError: When it cannot be written; the file is what it was then.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            if path.exists():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
