"""The models folder: which versions there are, in TensorFlow Serving's layout, and whether they are whole."""

import hashlib
import json
import re
from dataclasses import dataclass
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

    Two are equal when no file of the version has come, gone or changed in between.

    Attributes:
        folder: Where it lies.
        files: Path, size and time of change of each of its files.
    """

    folder: Path
    files: frozenset[tuple[str, int, int]]


def find_versions(models: Path) -> dict[Key, FoundVersion]:
    """Returns all versions of all models.

    A version is a sub-folder of a model's folder whose name is a positive number and that holds a ``saved_model.pb``.
    Everything else is passed over: what is still being written has another name.

    Raises:
        OSError: When the folder cannot be read.
    """
    found = {}
    for model in sorted(models.iterdir()):
        if model.is_dir() and not model.name.startswith("."):
            for folder in model.iterdir():
                version = _version_of(folder)
                if version is not None:
                    found[model.name, version] = _found(folder)
    return found


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
