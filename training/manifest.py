"""`tensorgate.json`: what a published version is, where it came from, and the hash of every file in it."""

import datetime
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.errors import TrainingError

FILE_NAME = "tensorgate.json"
EXTRA = "assets.extra"  # TF Serving's folder for what is not part of the graph
_TOOLS = ("tensorflow", "keras", "numpy", "scikit-learn", "statsmodels", "pandas")


def write_manifest(folder: Path, entries: Mapping[str, Any]) -> None:
    """Writes the manifest of a version, as its last file.

    Args:
        folder: the version's folder, otherwise complete.
        entries: what the model family says of it; the time, the tools and the file hashes are added here.
    """
    manifest = {
        "format": 1,
        **entries,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tools": tool_versions(),
        "files": _file_hashes(folder),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / EXTRA / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Returns the manifest of a published version; None when it has none, because something else wrote it.

    Raises:
        TrainingError: there is one, but it is not a JSON object.
    """
    path = folder / EXTRA / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def tool_versions() -> dict[str, str]:
    """The releases of what a model is made with, by name."""
    return {"python": platform.python_version(), **{tool: _release(tool) for tool in _TOOLS}}


def _release(tool: str) -> str:
    try:
        return importlib.metadata.version(tool)
    except importlib.metadata.PackageNotFoundError:
        if tool != "tensorflow":
            raise
        return importlib.metadata.version("tensorflow-cpu")  # that for CPUs alone is a distribution of its own


def _file_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the manifest, by path relative to the folder."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_file() and relative != f"{EXTRA}/{FILE_NAME}":
            hashes[relative] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes
