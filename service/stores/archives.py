"""Unpacks archives, such as the layers of OCI artefacts, into one folder and within a bound."""

import gzip
import os
import tarfile
import zlib
from pathlib import Path
from posixpath import dirname, normpath
from typing import Literal

from service.errors import shown
from service.stores.paths import MAX_FILES, check_paths
from service.stores.port import MODEL_FILES, failed

_PART = 1024 * 1024
_GZIP = b"\x1f\x8b"
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)
"""What reading a damaged archive raises; `BadGzipFile` is an `OSError`, and all others of those are of writing."""


def unpack(archive: Path, folder: Path, room: int) -> int:
    """Unpacks the folder of an archive that holds the model, at whatever depth, and writes its files to the disk.

    Only files and folders are unpacked, without owner, permissions and times. An archive with anything else in that
    folder, such as a link or a device, is refused.

    Args:
        archive: A tar, plain or compressed by gzip.
        folder: Where the files go.
        room: Maximum size of all files together, in bytes.

    Returns:
        The size of all files, in bytes.

    Raises:
        GatewayError: BACKEND_FAILED, which says what is wrong with the archive.
        OSError: When the folder cannot be written to.
    """
    try:
        with tarfile.open(archive, _mode(archive), bufsize=_PART) as tar:
            root = _root(tar, room)
            members = {_below(member.name, root): member for member in tar if _is_below(member.name, root)}
            files = {name: member for name, member in members.items() if name and not member.isdir()}
            check_paths(files)
            for name, member in files.items():
                if not member.isreg() or member.issparse():
                    raise failed(f"{shown(name)} in the archive is neither a file nor a folder")
            for name, member in files.items():
                _write(tar, member, folder / name)
            return sum(member.size for member in files.values())
    except _DAMAGED as error:
        raise failed(f"it is no archive, or a damaged one: {error}") from None


def _mode(archive: Path) -> Literal["r:", "r:gz"]:
    with archive.open("rb") as file:
        return "r:gz" if file.read(len(_GZIP)) == _GZIP else "r:"


def _root(tar: tarfile.TarFile, room: int) -> str:
    """Returns the topmost folder with a model in an archive; empty for the archive itself.

    The sizes are added up before any contents are read, as gzip can make a thousand bytes of one.
    """
    found, total = [], 0
    for count, member in enumerate(tar, 1):
        if count > MAX_FILES:
            raise failed(f"the archive has more than {MAX_FILES} entries")
        total += member.size
        if total > room:
            raise failed(f"the archive holds {total} bytes or more, and there is room for {room}")
        name = normpath(member.name)
        if name.rpartition("/")[2] in MODEL_FILES:
            found.append(dirname(name))
    if not found:
        raise failed(f"there is no {MODEL_FILES[0]} in the archive")
    return min(found, key=lambda name: (name.count("/") + bool(name), name))


def _is_below(name: str, root: str) -> bool:
    return not root or f"{name.removeprefix('./')}/".startswith(f"{root}/")


def _below(name: str, root: str) -> str:
    """Returns a member's path below the root; a path that leads elsewhere stays as it is, to be refused."""
    name = name.removeprefix("./")
    return name if not root else name.removeprefix(root).removeprefix("/")


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise failed(f"{shown(member.name)} in the archive cannot be read")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("xb") as out:
        written = 0
        while part := content.read(_PART):
            out.write(part)
            written += len(part)
        out.flush()
        os.fsync(out.fileno())
    if written != member.size:
        raise failed(f"{shown(member.name)} in the archive ended after {written} of {member.size} bytes")
