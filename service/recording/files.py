"""The files of a log of requests: each is written under a temporary name, and renamed once it is complete.

A folder belongs to one server at a time, which holds a lock in it: what lies there under a temporary name when it
starts was left by one that was killed, and is completed then.
"""

import fcntl
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

Whole = Callable[[BinaryIO, int], int]
"""Takes a file and its size; returns up to where it holds whole entries."""

WRITING = ".part"
"""What the name of a file ends with while it is written."""
_PREFIX = "requests-"
_LOCK = ".lock"
_MODE = 0o600
"""Requests may be anybody's data: nobody but the user of the server reads them."""


class RotatedFiles:
    """Files of one folder, written one after the other; the oldest are removed.

    Args:
        folder: Where they lie; made where there is none.
        suffix: Of their names, with its dot.
        max_bytes: Of one file; a longer entry is refused.
        max_files: Complete files that are kept.
        whole: Finds the end of the last whole entry of a file that was never completed.
    """

    def __init__(self, folder: Path, *, suffix: str, max_bytes: int, max_files: int, whole: Whole) -> None:
        self._folder = folder
        self._suffix = suffix
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._whole = whole
        self._lock: int | None = None
        self._file: int | None = None
        self._path = folder
        self._size = 0

    def open(self) -> None:
        """Takes the folder, and completes what a server that was killed left in it.

        Raises:
            BlockingIOError: When another server has it.
            OSError: When it cannot be written to.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self._folder.glob(f"{_PREFIX}*{WRITING}"):
                self._recover(left)
            self._prune()
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def write(self, entry: bytes) -> None:
        """Writes an entry as a whole, or none of it; begins another file where this one would become too long.

        Raises:
            OSError: When it cannot be written.
        """
        if self._file is not None and self._size + len(entry) > self._max_bytes:
            self._complete()
        file = self._begin() if self._file is None else self._file
        try:
            left = memoryview(entry)
            while left:
                left = left[os.write(file, left) :]
        except OSError:
            self._cut_back(file)
            raise
        self._size += len(entry)

    def close(self) -> None:
        """Completes the file that is being written, and lets go of the folder.

        Raises:
            OSError: When the file cannot be completed; it will be, by the next server.
        """
        try:
            self._complete()
        finally:
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def _begin(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)  # somebody may have cleared it away
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._folder / f"{_PREFIX}{moment}{self._suffix}{WRITING}"
        self._file = file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        self._path, self._size = path, 0
        return file

    def _cut_back(self, file: int) -> None:
        """Removes the part of an entry that was written; where even that fails, the file is left as it is."""
        try:
            os.ftruncate(file, self._size)
            os.lseek(file, self._size, os.SEEK_SET)
        except OSError:
            os.close(file)
            self._file = None

    def _complete(self) -> None:
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        if self._size:
            self._path.rename(self._path.with_suffix(""))
        else:
            self._path.unlink(missing_ok=True)
        self._prune()

    def _recover(self, path: Path) -> None:
        whole = 0
        if path.name.endswith(self._suffix + WRITING):
            with path.open("r+b") as file:
                whole = self._whole(file, path.stat().st_size)
                file.truncate(whole)
        else:  # of the other format, which this server does not read
            whole = path.stat().st_size
        if whole:
            path.rename(path.with_suffix(""))
        else:
            path.unlink()

    def _prune(self) -> None:
        """Removes the oldest complete files, of either format; their names are their times."""
        complete = sorted(path for path in self._folder.glob(f"{_PREFIX}*") if path.suffix != WRITING)
        for path in complete[: -self._max_files]:
            path.unlink(missing_ok=True)


def whole_lines(file: BinaryIO, size: int) -> int:
    """Returns up to where a file holds whole lines."""
    chunk = 1 << 16
    end = size
    while end:
        begin = max(0, end - chunk)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
