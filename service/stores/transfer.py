"""Transfers one version from a store into a folder, and checks it against every hash that is known."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Set
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import IO

from service.core.load_progress import LoadProgress
from service.core.plain_files import open_plain_file
from service.errors import ErrorKind, GatewayError, shown
from service.stores.archives import unpack
from service.stores.paths import check_paths
from service.stores.port import MANIFEST, Store, StoredFile, StoredVersion, failed, unavailable

_ATTEMPTS = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
"""Seconds before a broken transfer is resumed; doubled each time."""
_ENOUGH = 1024 * 1024
"""Bytes after which a broken connection counts as the first failure again."""
_MAX_MANIFEST = 16 * 1024 * 1024
_ARCHIVE = ".archive"


class Stopped(Exception):  # noqa: N818  # nothing is wrong
    """The transfer was cancelled."""


class Transfer:
    """Transfers versions.

    Args:
        store: Versions are read from it.
        stop: Once set, the transfer that is under way is cancelled.
        counted: Called with the number of bytes of each part that is received.
    """

    def __init__(self, store: Store, stop: Event, counted: Callable[[int], None]) -> None:
        self._store = store
        self._stop = stop
        self._counted = counted

    def run(self, key: tuple[str, int], stored: StoredVersion, folder: Path, room: int, progress: LoadProgress) -> None:
        """Transfers all files of a version into an empty folder.

        Args:
            key: Name and version.
            stored: The version as the store lists it.
            folder: Where the files go.
            room: Bytes that there is room for: an archive may hold more than its own size.
            progress: Updated with the bytes that were received.

        Raises:
            GatewayError: BACKEND_UNAVAILABLE when the connection broke too often, BACKEND_FAILED when a file is not
                what it should be.
            OSError: When the folder cannot be written to.
            Stopped: When it was cancelled.
        """
        plain = [file for file in stored.files if not file.is_archive]
        check_paths(file.path for file in plain)
        progress.enter("pulling it from its store", "bytes", done=0, total=stored.size)
        hashes: dict[str, str] = {}
        # The manifest comes first: if the store lacks files that it names, nothing else is transferred.
        for file in sorted(plain, key=lambda file: file.path != MANIFEST):
            hashes[file.path] = self._transfer(key, file, folder / file.path, progress)
            if file.path == MANIFEST:
                _require(_hashes_in(folder).keys() - {one.path for one in stored.files})
        for file in (file for file in stored.files if file.is_archive):
            self._transfer(key, file, folder / _ARCHIVE, progress)
            progress.enter("unpacking it")
            room -= unpack(folder / _ARCHIVE, folder, room)
            (folder / _ARCHIVE).unlink()
        _compare(folder, hashes, progress)

    def _transfer(self, key: tuple[str, int], file: StoredFile, target: Path, progress: LoadProgress) -> str:
        """Writes a file, resuming where the connection broke; returns its SHA-256, in hex."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            sink, attempts = _Sink(file, out), 0
            while sink.written < file.size:
                before = sink.written
                if (broken := self._receive(key, file, sink, progress)) is not None:
                    attempts = 1 if sink.written - before >= _ENOUGH else attempts + 1
                    if attempts == _ATTEMPTS:
                        raise broken
                    if self._stop.wait(min(_FIRST_PAUSE * 2 ** (attempts - 1), _LONGEST_PAUSE)):
                        raise Stopped
            return sink.finished()

    def _receive(
        self, key: tuple[str, int], file: StoredFile, sink: "_Sink", progress: LoadProgress
    ) -> GatewayError | None:
        """Receives what one request yields of a file; returns the error if the file is not complete then."""
        try:
            with closing(self._store.read(*key, file, sink.written)) as parts:
                for part in parts:
                    if self._stop.is_set():
                        raise Stopped
                    sink.take(part)
                    progress.advance(len(part))
                    self._counted(len(part))
        except GatewayError as error:
            if error.kind is not ErrorKind.BACKEND_UNAVAILABLE:
                raise
            return None if sink.written == file.size else error
        if sink.written == file.size:
            return None
        return unavailable(f"{shown(file.path)} ended after {sink.written} of {file.size} bytes")


class _Sink:
    """Writes and hashes the contents of a file, and refuses more than its size."""

    def __init__(self, file: StoredFile, out: IO[bytes]) -> None:
        self.written = 0
        self._file = file
        self._out = out
        self._sha256 = hashlib.sha256()
        name, _, self._expected = file.digest.partition(":")
        self._other = self._sha256 if name in {"", "sha256"} else hashlib.new(name, usedforsecurity=False)

    def take(self, part: bytes) -> None:
        """Writes a part."""
        self.written += len(part)
        if self.written > self._file.size:
            text = f"{shown(self._file.path)} is longer than the {self._file.size} bytes that the store says"
            raise failed(text)
        self._out.write(part)
        for digest in {self._sha256, self._other}:
            digest.update(part)

    def finished(self) -> str:
        """Writes the file to the disk, compares it with the digest that the store states, and returns its SHA-256."""
        self._out.flush()
        os.fsync(self._out.fileno())
        if self._expected and (actual := self._other.hexdigest()) != self._expected:
            raise failed(f"{shown(self._file.path)} is not what the store says: its hash is {actual}")
        return self._sha256.hexdigest()


def _hashes_in(folder: Path) -> Mapping[str, str]:
    """Returns the hashes in a version's manifest; empty if there is no manifest."""
    try:
        with open_plain_file(folder / MANIFEST) as content:
            data = content.read(_MAX_MANIFEST + 1)
    except FileNotFoundError:
        return {}
    try:
        files = json.loads(data)["files"] if len(data) <= _MAX_MANIFEST else None
    except (ValueError, KeyError, TypeError, RecursionError):
        files = None
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise failed(f"{MANIFEST} makes no sense")
    return files


def _require(missing: Set[str]) -> None:
    if missing:
        raise failed(f"{shown(min(missing))} is in {MANIFEST}, and not in the store: it may be on its way")


def _compare(folder: Path, hashes: Mapping[str, str], progress: LoadProgress) -> None:
    """Compares all files with the manifest; those from an archive are read again for that."""
    progress.enter("comparing its files with the manifest")
    expected = _hashes_in(folder)
    check_paths(expected)
    for name, digest in expected.items():
        actual = hashes.get(name)
        if actual is None:
            try:
                with open_plain_file(folder / name) as content:
                    actual = hashlib.file_digest(content, "sha256").hexdigest()
            except OSError:
                raise failed(f"{shown(name)} is in {MANIFEST}, and not there") from None
        if actual != digest:
            raise failed(f"{shown(name)} is not the file that was published: its hash is {actual}")
