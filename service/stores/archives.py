"""Archives of files, as layers of OCI artefacts are: unpacked into a folder and nowhere else, and not too much."""

import tarfile
import zlib
from pathlib import Path
from posixpath import dirname, normpath

from service.errors import shown
from service.stores.paths import MAX_FILES, check_paths
from service.stores.port import MODEL_FILES, failed

_PART = 1024 * 1024


def unpack(archive: Path, folder: Path, room: int) -> int:
    """Unpacks the version that an archive holds: the folder in it with a model, at whatever depth, and no other.

    Files and folders alone are taken, without their owners, rights and times; an archive with anything else in that
    folder, such as a link or a device, is refused.

    Args:
        archive: A tar, plain or compressed by gzip.
        folder: Where to.
        room: Most bytes that the files may have together.

    Returns:
        The bytes of the files.

    Raises:
        GatewayError: BACKEND_FAILED, which says what is wrong with it.
        OSError: When the folder cannot be written to.
    """
    try:
        with tarfile.open(archive, "r:*", bufsize=_PART) as tar:
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
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise failed(f"it is no archive, or a damaged one: {error}") from None


def _root(tar: tarfile.TarFile, room: int) -> str:
    """Returns the folder of the model in an archive, the one that is least deep; empty for the archive itself.

    It ends before what a member would unpack to is read, if that is too much: gzip makes a thousand bytes of one.
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
    """Returns a member's path below the root; what leads elsewhere stays as it is, to be refused."""
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
    if written != member.size:
        raise failed(f"{shown(member.name)} in the archive ended after {written} of {member.size} bytes")
