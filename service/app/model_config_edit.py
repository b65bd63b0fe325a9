"""The operator's file of models changed while servers follow it: as a whole or not at all, by one at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.codecs.model_config_edit import Change, with_change
from service.core.plain_files import read_plain_text, replace_plain_file
from service.errors import GatewayError


def edit_model_config(path: Path, model: str, change: Change) -> None:
    """Changes where a model's requests go, as a file says.

    Whoever else edits the file waits, as with `locked`; servers that read it see it before or after.

    Args:
        path: Of the file; where it is a link, what it leads to is replaced.
        model: Name of the model.
        change: Is given what the file says of it.

    Raises:
        GatewayError: What `with_change` raises, with the file's name; MALFORMED where it cannot be read.
        OSError: Where it cannot be replaced: it, or its folder, is read-only, or it is mounted by itself.
    """
    path = path.resolve()
    with locked(path):
        text = read_plain_text(path, str(path))
        try:
            changed = with_change(text, model, change)
        except GatewayError as error:
            raise error.reworded(f"{path}: {error.message}") from None
        if changed != text:
            replace_plain_file(path, changed.encode())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps whoever else edits the file waiting, also in other processes: ``flock`` on a file beside it.

    Raises:
        OSError: Where there can be no file beside it.
    """
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
