"""The folder that versions are pulled into: each is there whole or not at all, and all of them stay within a bound.

`<model>/<version>` is a link to `.pulled/<version>-<mark>` beside it, where the mark identifies what the store had when
it was pulled. A version is published, or replaced, by making the link, which is one step.
"""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from service.errors import ErrorKind, GatewayError
from service.stores.paths import is_model_name, version_number
from service.stores.port import Key, failed

_PULLED = ".pulled"
_PARTIAL = ".partial"
_LINK = ".link"
_OWNER = ".tensorgate-store"


class Cache:
    """A folder of models, in which a mirror publishes and removes versions.

    Anything else in it, such as versions that somebody else put there, is left alone.

    Args:
        folder: The folder; created if it does not exist.
        url: The URL of the store; a folder belongs to one store for good.
        max_bytes: Maximum size of all pulled versions; 0 for as much as the disk has room for.

    Attributes:
        folder: The folder.

    Raises:
        GatewayError: FAILED_PRECONDITION when it belongs to another store, or another process uses it.
        OSError: When it cannot be created or written to.
    """

    def __init__(self, folder: Path, url: str, max_bytes: int = 0) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._sizes: dict[Path, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._own(url)
            self._sweep()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Frees the folder for other processes."""
        os.close(self._lock)

    def _own(self, url: str) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another process pulls models into {self.folder}: each needs a folder of its own"
            raise GatewayError(ErrorKind.FAILED_PRECONDITION, text) from None
        owner = os.pread(self._lock, 4096, 0).decode("utf-8", "replace").strip()
        if owner and owner != url:
            text = f"{self.folder} holds models of {owner}: expected another folder for those of {url}"
            raise GatewayError(ErrorKind.FAILED_PRECONDITION, text)
        os.pwrite(self._lock, url.encode(), 0)

    def _sweep(self) -> None:
        """Removes what no link leads to: pulls that were under way when a process ended."""
        linked = {self._target(key) for key in self.current()}
        for folder in self.folder.glob(f"*/{_PULLED}/*"):
            if folder not in linked:
                shutil.rmtree(folder, ignore_errors=True)

    def current(self) -> dict[Key, str]:
        """Returns the mark of each version that is published."""
        found = {}
        for link in self._links():
            name, _, mark = str(link.readlink()).rpartition("-")
            if name == f"{_PULLED}/{link.name}" and link.is_dir():
                found[link.parent.name, int(link.name)] = mark
        return found

    def _links(self) -> Iterator[Path]:
        for model in sorted(self.folder.iterdir()):
            if is_model_name(model.name) and model.is_dir() and not model.is_symlink():
                for link in sorted(model.iterdir()):
                    if version_number(link.name) is not None and link.is_symlink():
                        yield link

    def partial(self, key: Key) -> Path:
        """Returns an empty folder to pull a version into."""
        folder = self._beside(key) / f"{_PARTIAL}-{key[1]}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def discard(self, key: Key) -> None:
        """Removes what was pulled of a version but not published, and the model's folder if it is empty then."""
        shutil.rmtree(self._beside(key) / f"{_PARTIAL}-{key[1]}", ignore_errors=True)
        self._tidy(key)

    def publish(self, key: Key, mark: str) -> None:
        """Publishes the version in its partial folder, in place of the one that was pulled before.

        Raises:
            GatewayError: FAILED_PRECONDITION when somebody else put a version of that number there.
            OSError: When the folder cannot be written to.
        """
        link = self._link(key)
        if os.path.lexists(link) and not link.is_symlink():
            text = f"{link} is there already, and was not pulled: it is left as it is"
            raise GatewayError(ErrorKind.FAILED_PRECONDITION, text)
        before = self._target(key)
        target = self._beside(key) / f"{key[1]}-{mark}"
        shutil.rmtree(target, ignore_errors=True)
        (self._beside(key) / f"{_PARTIAL}-{key[1]}").rename(target)
        for folder, _, _ in os.walk(target):  # its files are on the disk already
            _sync(folder)
        _sync(target.parent)
        beside = self._beside(key) / _LINK
        beside.unlink(missing_ok=True)
        beside.symlink_to(f"{_PULLED}/{target.name}")
        beside.replace(link)
        _sync(link.parent)
        if before is not None and before != target:
            shutil.rmtree(before, ignore_errors=True)

    def remove(self, key: Key) -> None:
        """Removes a version: first its link, then its files."""
        target = self._target(key)
        with suppress(FileNotFoundError):
            self._link(key).unlink()
        if target is not None:
            shutil.rmtree(target, ignore_errors=True)
        self._tidy(key)

    def _tidy(self, key: Key) -> None:
        for folder in (self._beside(key), self._link(key).parent):
            with suppress(OSError):
                folder.rmdir()

    def used(self) -> int:
        """Returns the size of all pulled versions."""
        folders = [target for key in self.current() if (target := self._target(key)) is not None]
        self._sizes = {folder: self._sizes.get(folder) or _size_of(folder) for folder in folders}
        return sum(self._sizes.values())

    def make_room(self, needed: int, keep: Collection[Key]) -> int:
        """Removes versions, the oldest pull first, until there is room for so many bytes.

        Args:
            needed: Bytes that there must be room for.
            keep: Versions that must not be removed.

        Returns:
            How many bytes there is room for.

        Raises:
            GatewayError: BACKEND_FAILED when there is still not enough room.
        """
        candidates = [key for key in self.current() if key not in keep]
        for key in sorted(candidates, key=lambda key: self._link(key).lstat().st_mtime):
            if self._room() >= needed:
                break
            self.remove(key)
        room = self._room()
        if room < needed:
            raise failed(
                f"it has {needed} bytes, and there is room for {room} in {self.folder}, beside what is needed there "
                "(models_cache_max_bytes, or the disk's own bound)"
            )
        return room

    def _room(self) -> int:
        free = shutil.disk_usage(self.folder).free
        return min(free, self._max_bytes - self.used()) if self._max_bytes else free

    def _link(self, key: Key) -> Path:
        return self.folder / key[0] / str(key[1])

    def _beside(self, key: Key) -> Path:
        return self.folder / key[0] / _PULLED

    def _target(self, key: Key) -> Path | None:
        link = self._link(key)
        return link.parent / link.readlink() if link.is_symlink() else None


def _size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _sync(folder: Path | str) -> None:
    """Writes a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
