"""Checks a version's files against its manifest."""

import hashlib
import json
import os
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from service.core.load_progress import LoadProgress
from service.core.plain_files import open_plain_file
from service.errors import ErrorKind, GatewayError

MANIFEST = Path("assets.extra", "tensorgate.json")
_CHUNK = 1 << 20


def verify(folder: Path, progress: LoadProgress) -> None:
    """Compares a version's files with its manifest, if it has one.

    Args:
        folder: Folder of the version.
        progress: Updated with the bytes that were compared.

    Raises:
        GatewayError: BACKEND_FAILED when a file is missing or is not the one that was published.
    """
    if not os.path.lexists(folder / MANIFEST):
        return
    try:
        with open_plain_file(folder / MANIFEST) as content:
            files = json.load(content)["files"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GatewayError(ErrorKind.BACKEND_FAILED, f"{MANIFEST} cannot be read") from error
    progress.enter("comparing its files with the manifest", "bytes", done=0, total=size_of(folder))
    for name, expected in files:
        try:
            with open_plain_file(folder / name) as content:
                actual = _digest(content, progress)
        except OSError as error:
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{name} cannot be read: {error.strerror}") from error
        if actual != expected:
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{name} is not the file that was published")


def size_of(folder: Path) -> int:
    """Returns the size of all files below a folder, in bytes, without those that cannot be accessed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).stat().st_size
    return total


def _digest(content: BufferedReader, progress: LoadProgress) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
        progress.advance(len(chunk))
    return digest.hexdigest()
