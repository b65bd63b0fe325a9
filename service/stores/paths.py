"""Checks names from a store, which anybody may have chosen, before they become paths on this machine."""

import re
import unicodedata
from collections.abc import Iterable

from service.errors import shown
from service.stores.port import failed

MAX_FILES = 10_000
"""Maximum of one version, as in a models folder."""
_MAX_PATH, _MAX_PART = 1024, 255
_VERSION = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_VERSION = 2**63 - 1


def version_number(name: str) -> int | None:
    """Returns the number that is the name of a version; ``None`` if it is not one, such as ``01``."""
    number = int(name) if _VERSION.fullmatch(name) else None
    return None if number is None or number > _MAX_VERSION else number


def is_model_name(name: str) -> bool:
    """Returns whether a model can have the name: a single part of a path, and not hidden."""
    return not name.startswith(".") and "/" not in name and _fault(name) is None


def check_paths(paths: Iterable[str]) -> None:
    """Refuses paths that lead out of the version's folder, or that some file systems cannot tell apart.

    Raises:
        GatewayError: BACKEND_FAILED, which names the first.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    count = 0
    for count, path in enumerate(paths, 1):
        if count > MAX_FILES:
            raise failed(f"it has more than {MAX_FILES} files")
        if fault := _fault(path):
            raise failed(f"the path {shown(path)} of a file in the store {fault}")
        parts = path.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        for known, name in [*((folders, folder) for folder in above), (files, path)]:
            other = known.setdefault(_same(name), name)
            if other != name:
                raise failed(f"the paths {shown(other)} and {shown(name)} in the store are one to some file systems")
    if len(files) < count:
        raise failed("two files in the store have the same path")
    if both := files.keys() & folders.keys():
        raise failed(f"the path {shown(files[min(both)])} in the store is a file and a folder")


def _same(path: str) -> str:
    """Returns a form that is equal for paths which differ in case or Unicode form only."""
    return unicodedata.normalize("NFC", path).casefold()


def _fault(path: str) -> str | None:
    """Returns what is wrong with a path."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "is absolute"
    if any(part in {"", ".", ".."} for part in parts):
        return "has an empty part, or one of dots"
    if "\\" in path or any(unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"} for character in path):
        return "has a backslash or a control character"
    if size > _MAX_PATH or any(len(part.encode()) > _MAX_PART for part in parts):
        return "is too long"
    return None
