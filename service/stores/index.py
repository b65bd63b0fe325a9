"""The index of models on a web server, which cannot list them itself; docs/stores.md has the format."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.core.plain_files import open_plain_file
from service.errors import shown
from service.stores.paths import is_model_name, version_number
from service.stores.port import MODEL_FILES, StoredFile, StoredVersion, failed

INDEX = "index.json"
FORMAT = 1
MAX_BYTES = 16 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_SIZE = 2**63


def parse_index(data: bytes, where: str) -> dict[str, dict[int, StoredVersion | None]]:
    """Returns what an index lists, by model and number.

    Args:
        data: The index.
        where: Its name in errors.

    Raises:
        GatewayError: BACKEND_FAILED when it is not an index.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise failed(f"{where} is not JSON") from None
    models = document.get("models") if isinstance(document, dict) else None
    if not isinstance(models, dict) or document.get("format") != FORMAT:
        raise failed(f'{where}: expected {{"format": {FORMAT}, "models": {{...}}}}')
    return {
        model: {
            number: _version(files, f"{where}, version {name} of {shown(model)}")
            for name, files in _mapping(versions, f"{where}, {shown(model)}").items()
            if (number := version_number(name)) is not None
        }
        for model, versions in models.items()
        if is_model_name(model)
    }


def _version(entry: object, where: str) -> StoredVersion:
    files = _mapping(_mapping(entry, where).get("files"), f"{where}, files")
    return StoredVersion(tuple(_file(path, file, where) for path, file in files.items()), is_whole=True)


def _file(path: str, entry: object, where: str) -> StoredFile:
    fields = _mapping(entry, f"{where}, {shown(path)}")
    size, sha256 = fields.get("size"), fields.get("sha256")
    if (
        type(size) is not int
        or not 0 <= size < _MAX_SIZE
        or not isinstance(sha256, str)
        or not _SHA256.fullmatch(sha256)
    ):
        raise failed(f"{where}, {shown(path)}: expected a size in bytes and a sha256 of 64 hexadecimal digits")
    return StoredFile(path, size, sha256, f"sha256:{sha256}")


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise failed(f"{where}: expected an object, got {shown(value)}")
    return value


def index_of(folder: Path) -> str:
    """Returns the index of all versions in a models folder.

    Raises:
        OSError: When something in it cannot be read.
    """
    models: dict[str, dict[str, Any]] = {}
    for version in sorted(folder.glob("*/*")):
        is_version = any((version / name).is_file() for name in MODEL_FILES)
        if is_version and is_model_name(version.parent.name) and version_number(version.name) is not None:
            files = {path.relative_to(version).as_posix(): path for path in files_below(version)}
            models.setdefault(version.parent.name, {})[version.name] = {
                "files": {name: _described(path) for name, path in files.items()}
            }
    return json.dumps({"format": FORMAT, "models": models}, indent=1, ensure_ascii=False) + "\n"


def files_below(folder: Path) -> list[Path]:
    """Returns all files below a folder, sorted; links to files count as files, links to folders are not followed."""
    return sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def _described(path: Path) -> dict[str, Any]:
    with open_plain_file(path) as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return {"size": content.tell(), "sha256": digest}
