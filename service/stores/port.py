"""The port of stores: what the mirror needs of a place that holds versions of models."""

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
"""Published by training as the last file of a version: the hash of every other one."""

Key = tuple[str, int]
"""Name and version."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a version.

    Attributes:
        path: Relative to the version's folder, with ``/`` as separator; as the store has it, and not checked.
        size: In bytes.
        tag: Changes with the contents: the store's etag, its generation, a digest.
        digest: ``sha256:`` or ``md5:`` and the hash in hex, if the store states one; else empty.
        is_archive: Whether it is a tar of the version's files.
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
        is_whole: Whether it was published in one step. In other stores files appear one by one.
    """

    files: tuple[StoredFile, ...]
    is_whole: bool = False

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def mark(self) -> str:
        """Changes when a file is added, removed or changed: 12 hexadecimal digits."""
        listed = sorted([file.path, file.size, file.tag, file.digest] for file in self.files)
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:12]

    @property
    def is_model(self) -> bool:
        """Whether there is a model among the files, judged by their names."""
        return any(file.is_archive or file.path in MODEL_FILES for file in self.files)

    @property
    def is_proven(self) -> bool:
        """Whether the transfer can be compared with hashes, and not just with sizes."""
        return any(file.path == MANIFEST for file in self.files) or all(file.digest for file in self.files)


class Store(Protocol):
    """A place that holds versions of models. Its methods block, and are called by one thread at a time.

    All of them raise `GatewayError`: BACKEND_UNAVAILABLE if it may succeed later, as the store is away or denies
    access, and BACKEND_FAILED if what the store has makes no sense. No message holds a secret.
    """

    def versions(self) -> Mapping[str, Mapping[int, StoredVersion | None]]:
        """Returns all versions, by model and number; ``None`` for those that `describe` has to be called for."""

    def describe(self, model: str, version: int) -> StoredVersion | None:
        """Returns a version as it is now; ``None`` if it is gone."""

    def read(self, model: str, version: int, file: StoredFile, start: int) -> Generator[bytes, None, None]:
        """Yields the contents of a file from an offset on; may end early if the connection does."""


def unavailable(text: str) -> GatewayError:
    """Returns the error for what may succeed later."""
    return GatewayError(ErrorKind.BACKEND_UNAVAILABLE, text)


def failed(text: str) -> GatewayError:
    """Returns the error for what makes no sense."""
    return GatewayError(ErrorKind.BACKEND_FAILED, text)
