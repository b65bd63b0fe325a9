"""Folders of models: which versions there are, in TensorFlow Serving's layout, and whether they are complete."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.errors import ErrorKind, GatewayError

MODEL_FILE = "saved_model.pb"
MANIFEST = Path("assets.extra", "tensorgate.json")

_VERSION = re.compile(r"0*([1-9][0-9]{0,18})")
_MAX_VERSION = 2**63 - 1

Key = tuple[str, int]
"""Name and version."""


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version on disk.

    Two are equal when no file of the version was added, removed or changed in between.

    Attributes:
        folder: Where it lies.
        files: Path, size and time of change of each of its files.
    """

    folder: Path
    files: frozenset[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan of the models folder.

    Attributes:
        versions: All versions of all models.
        unreadable: Models that could not be read, and why.
    """

    versions: Mapping[Key, FoundVersion] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)


def find_versions(models: Path) -> Scan:
    """Returns what the folder holds.

    A version is a sub-folder of a model's folder whose name is a positive number and that holds a ``saved_model.pb``.
    Everything else is ignored: a version that is still being written has another name.

    Raises:
        OSError: When the folder itself cannot be read.
    """
    versions: dict[Key, FoundVersion] = {}
    unreadable: dict[str, str] = {}
    for model in sorted(models.iterdir()):
        if model.name.startswith("."):
            continue
        try:
            model.name.encode()
            if model.is_dir():
                versions |= {(model.name, version): found for version, found in versions_in(model)}
        except UnicodeEncodeError:
            unreadable[ascii(model.name)] = "its name is not UTF-8"
        except OSError as error:
            unreadable[model.name] = error.strerror or type(error).__name__
    return Scan(versions, unreadable)


def versions_in(base_path: Path) -> Iterator[tuple[int, FoundVersion]]:
    """Yields number and contents of each version of the model whose folder this is.

    Raises:
        OSError: When the folder cannot be read.
    """
    for folder in base_path.iterdir():
        version = _version_of(folder)
        if version is not None:
            yield version, _found(folder)


def verify(folder: Path) -> None:
    """Compares a version's files with its manifest, where it has one.

    Raises:
        GatewayError: BACKEND_FAILED when a file is missing or is not the one that was published.
    """
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"].items()
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GatewayError(ErrorKind.BACKEND_FAILED, f"{MANIFEST} cannot be read") from error
    for name, expected in files:
        try:
            with (folder / name).open("rb") as content:
                actual = hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{name} cannot be read: {error.strerror}") from error
        if actual != expected:
            raise GatewayError(ErrorKind.BACKEND_FAILED, f"{name} is not the file that was published")


def _version_of(folder: Path) -> int | None:
    match = _VERSION.fullmatch(folder.name)
    if match is None or int(match[1]) > _MAX_VERSION or not (folder / MODEL_FILE).is_file():
        return None
    return int(match[1])


def _found(folder: Path) -> FoundVersion:
    files = [(file, file.stat()) for file in folder.rglob("*")]
    return FoundVersion(folder, frozenset((str(file), stat.st_size, stat.st_mtime_ns) for file, stat in files))
