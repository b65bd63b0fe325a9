"""Versions without a model in them, and a mirror that is watched."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from service.core.load_progress import LoadProgress
from service.core.versions import VersionPolicy
from service.stores.cache import Cache
from service.stores.mirror import Mirror
from service.stores.port import MANIFEST, Key, Store
from service.stores.urls import open_store

FILES = {
    "saved_model.pb": b"model" * 1000,
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 12_000,
}
"""Of a version of 3 MB; whoever pulls them does not care what they are."""
LARGEST = "variables/variables.data-00000-of-00001"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def with_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns a version's files with a manifest, as training publishes them."""
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    return {**files, MANIFEST: json.dumps({"format": 1, "files": hashes}).encode()}


def write(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """Writes files into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """Returns the files in a folder, by their paths below it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Watcher:
    """Notes what a mirror does."""

    def __init__(self) -> None:
        self.looks: list[bool] = []
        self.bytes = 0
        self.begun: list[tuple[Key, LoadProgress]] = []
        self.done: list[Key] = []
        self.failures: list[Key] = []
        self.errors: dict[Key, str] = {}
        self.left: list[Key] = []
        self.in_service: set[Key] = set()
        self.broken: set[Key] = set()
        self.on_bytes: Callable[[], None] = lambda: None

    def listed(self, ok: bool) -> None:
        self.looks.append(ok)

    def pulled(self, count: int) -> None:
        self.bytes += count
        self.on_bytes()

    def begins(self, key: Key, progress: LoadProgress) -> None:
        self.begun.append((key, progress))

    def ends(self, key: Key, error: str) -> None:
        if error:
            self.errors[key] = error
            self.failures.append(key)
        else:
            self.errors.pop(key, None)
            self.done.append(key)

    def gone(self, key: Key) -> None:
        self.left.append(key)

    def served(self) -> set[Key]:
        return self.in_service

    def refused(self) -> set[Key]:
        return self.broken


class Mirrored:
    """A mirror of a store into a folder, and what it did.

    Attributes:
        store: May be any other one before a look.
    """

    def __init__(
        self, url: str, folder: Path, *, policy: str = "latest", max_bytes: int = 0, store: Store | None = None
    ) -> None:
        self.watcher = Watcher()
        self.folder = folder
        self.cache = Cache(folder, url, max_bytes)
        self.stop = threading.Event()
        self.mirror = Mirror(
            store or open_store(url), self.cache, VersionPolicy.parse(policy), self.watcher, stop=self.stop
        )

    def look(self) -> bool:
        return self.mirror.look()

    def version(self, model: str, number: int) -> dict[str, bytes]:
        """Returns the files of a version in the folder; none where there is no such version."""
        return (
            read((self.folder / model / str(number)).resolve()) if (self.folder / model / str(number)).exists() else {}
        )

    def close(self) -> None:
        self.cache.close()
