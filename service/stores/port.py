"""The port of stores: what the mirror asks of a place that keeps versions of models."""

import hashlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from service.errors import ErrorKind, GatewayError

MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
"""One of these makes files a version."""
MANIFEST = PurePosixPath("assets.extra", "tensorgate.json").as_posix()
"""What training publishes with a version, as its last file: the hash of every other one."""

Key = tuple[str, int]
"""Name and version."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a version.

    Attributes:
        path: Below the version's folder, with ``/`` between its parts; as the store has it, so nobody has checked it.
        size: In bytes.
        tag: Another one once the contents are: the store's etag, its generation, a digest.
        digest: ``sha256:`` or ``md5:`` and the hash in hex, where the store says what the contents hash to; else empty.
        is_archive: Whether it is a tar of files, which are the version's.
    """

    path: str
    size: int
    tag: str
    digest: str = ""
    is_archive: bool = False


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version in a store.

    Attributes:
        files: All of its files.
        is_whole: Whether it was published in one step. In other stores files come one by one.
    """

    files: tuple[StoredFile, ...]
    is_whole: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def mark(self) -> str:
        """Another one once a file is added, removed or changed: 12 hexadecimal digits."""
        listed = sorted([file.path, file.size, file.tag, file.digest] for file in self.files)
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:12]

    @property
    def is_model(self) -> bool:
        """Whether there is a model among the files, as far as their names say."""
        return any(file.is_archive or file.path in MODEL_FILES for file in self.files)

    @property
    def is_proven(self) -> bool:
        """Whether what was transferred can be compared with hashes, and not with sizes alone."""
        return any(file.path == MANIFEST for file in self.files) or all(file.digest for file in self.files)


class Store(Protocol):
    """A place that keeps versions of models. Its methods block, and are called by one thread at a time.

    All of them raise `GatewayError`: BACKEND_UNAVAILABLE where it may go well later, as the store is away or lets
    nobody in, and BACKEND_FAILED where what is there makes no sense. No text of it holds a secret.
    """

    def versions(self) -> Mapping[str, Mapping[int, StoredVersion | None]]:
        """Returns what there is now, by model and number; ``None`` for versions to be described one by one."""

    def describe(self, model: str, version: int) -> StoredVersion | None:
        """Returns a version as it is now; ``None`` where it is gone."""

    def read(self, model: str, version: int, file: StoredFile, start: int) -> Generator[bytes, None, None]:
        """Yields the contents of a file from a byte on, as they come; may end early where the connection does."""


def unavailable(text: str) -> GatewayError:
    """Makes the error for what may go well later."""
    return GatewayError(ErrorKind.BACKEND_UNAVAILABLE, text)


def failed(text: str) -> GatewayError:
    """Makes the error for what makes no sense as it is."""
    return GatewayError(ErrorKind.BACKEND_FAILED, text)
