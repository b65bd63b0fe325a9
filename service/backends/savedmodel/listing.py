"""Lists of a version's files with their hashes, in the format of ``sha256sum``: <hash>  <model>/<version>/<path>.

Model and version are part of the path, so that files of one version cannot pass for those of another.
"""

import hashlib
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from service.backends.savedmodel.folder import contents
from service.core.load_progress import LoadProgress
from service.core.plain_files import open_plain_file
from service.errors import ErrorKind, GatewayError, shown

LISTING = Path("assets.extra", "tensorgate.sha256")
"""The list in a version's own folder, which its publisher signs."""
SIGNATURE = LISTING.with_name(LISTING.name + ".minisig")
"""The signature of that list."""

_OF_LISTS = frozenset({LISTING.as_posix(), SIGNATURE.as_posix()})
"""Not loaded, so they need not be in a list."""
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")
_MAX_BYTES = 16 * 1024 * 1024
"""Maximum size of a list, which anybody may have written."""


def files_in(folder: Path) -> dict[str, Path]:
    """Returns a version's files by their paths relative to its folder, without its own list and the signature.

    Links are followed, to folders too.

    Raises:
        OSError: When something in it cannot be read.
    """
    found = {}
    for path, status, _ in contents(folder):
        if isinstance(status, OSError):
            raise status
        if not stat.S_ISDIR(status.st_mode):
            found[path.relative_to(folder).as_posix()] = path
    return {name: path for name, path in sorted(found.items()) if name not in _OF_LISTS}


def listed_files(folder: Path, model: str, version: int) -> str:
    """Returns the list of a version's files.

    Raises:
        OSError: When one cannot be read.
    """
    lines = []
    for name, path in files_in(folder).items():
        with open_plain_file(path) as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {model}/{version}/{name}\n")
    return "".join(lines)


def hashes_in(text: str, model: str, version: int, *, where: str) -> dict[str, str]:
    """Returns the hashes of a version in a list, by paths relative to its folder.

    Args:
        text: The list, which may have other models and versions as well.
        model: Name of the model.
        version: Number of the version.
        where: Name of the list in errors.

    Raises:
        GatewayError: BACKEND_FAILED when it is not such a list.
    """
    prefix, hashes = f"{model}/{version}/", dict[str, str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not (match := _LINE.fullmatch(line)):
            text = f"{where}, line {number}: expected <sha256>  <model>/<version>/<path>, got {shown(line)}"
            raise GatewayError(ErrorKind.BACKEND_FAILED, text)
        digest, path = match.groups()
        if not path.startswith(prefix):
            continue
        if hashes.setdefault(path.removeprefix(prefix), digest) != digest:
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{where} has two hashes for {shown(path)}")
    return hashes


def copy_checked(
    folder: Path, target: Path, lists: Iterable[tuple[str, Mapping[str, str]]], progress: LoadProgress
) -> None:
    """Copies a version's files, and checks that each copy has the listed hash, and that no file is missing or extra.

    Args:
        folder: Folder of the version.
        target: An empty folder that nobody else can write to.
        lists: Name of each list, and its hashes by path; a file must match all of them.
        progress: Updated with the bytes that were compared.

    Raises:
        GatewayError: BACKEND_FAILED, which names the file.
        OSError: When something cannot be read or written.
    """
    files = files_in(folder)
    for where, hashes in lists:
        if missing := hashes.keys() - files.keys() - _OF_LISTS:
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{shown(min(missing))} is in {where}, and not there")
        if unlisted := files.keys() - hashes.keys():
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{shown(min(unlisted))} is there, and not in {where}")
    total = sum(path.stat().st_size for path in files.values())
    progress.enter("comparing its files with what is trusted", "bytes", done=0, total=total)
    for name, path in files.items():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        actual = _copied(path, copy, progress)
        for where, hashes in lists:
            if actual != hashes[name]:
                text = f"{shown(name)} is not the file in {where}: expected {hashes[name]}, got {actual}"
                raise GatewayError(ErrorKind.BACKEND_FAILED, text)


def _copied(path: Path, copy: Path, progress: LoadProgress) -> str:
    """Copies a file; returns the hash of what was written."""
    digest = hashlib.sha256()
    with open_plain_file(path) as content, copy.open("xb") as written:
        while part := content.read(1 << 20):
            digest.update(part)
            written.write(part)
            progress.advance(len(part))
    return digest.hexdigest()


def read_bounded(path: Path, limit: int = _MAX_BYTES) -> bytes:
    """Returns the bytes of a file.

    Raises:
        OSError: When it cannot be read, or is longer than that.
    """
    with open_plain_file(path) as content:
        data = content.read(limit + 1)
    if len(data) > limit:
        raise OSError(0, f"it is longer than {limit} bytes")
    return data
