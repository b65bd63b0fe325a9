"""Folders of models: which versions there are, in TensorFlow Serving's layout."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from service.backends.savedmodel.layout import MODEL_FILES, cure
from service.backends.savedmodel.places import Places
from service.codecs.model_config import NOT_A_NAME, is_model_name

_VERSION = re.compile(r"0*([0-9]{1,19})")
_MAX_VERSION = 2**63 - 1
_GRAPH_EXPANSION = 40
"""Bytes that TensorFlow takes for one of a graph as it is written, with the executors that it makes of it: measured."""
_BESIDE = "assets.extra"
"""Folder of a version with what TensorFlow does not read."""
_MAX_FILES = 10_000
"""Of one version; a link may lead to all of a disk."""
_MAX_ODDITIES = 10
"""Of one version that are named."""

Key = tuple[str, int]
"""Name and version."""
FileState = tuple[str, int, int]
"""Path, size and time of change of a file."""


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version on disk.

    Two are equal when no file of the version was added, removed or changed in between, and no link leads elsewhere.

    Attributes:
        folder: Where it lies.
        files: Path, size and time of change of each of its files, and where links lead.
        error: Why it cannot be loaded, where that is known already.
        oddities: What is wrong with parts of it; the rest may do all the same.
        memory_bytes: About how many it takes once it is loaded: those of its variables and assets, and of its graph
            as it is in memory; none for what only lies beside them (``assets.extra``).
    """

    folder: Path
    files: frozenset[FileState] = frozenset()
    error: str = ""
    oddities: tuple[str, ...] = ()
    memory_bytes: int = 0

    def beside(self, state: FileState) -> "FoundVersion":
        """Returns it as it is where a file beside it is in that state: another one after a change of that file."""
        return replace(self, files=self.files | {state})


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a scan of the models folder.

    Attributes:
        versions: All versions of all models.
        unreadable: Models that could not be read, and why.
        misplaced: Models of which no version was found, and what is to be done about them where that is known.
    """

    versions: Mapping[Key, FoundVersion] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    misplaced: Mapping[str, str] = field(default_factory=dict)

    def problems(self) -> Iterator[str]:
        """Yields what is wrong with what was found."""
        for name, why in self.unreadable.items():
            yield f"the model {name} cannot be read: {why}"
        for (name, version), found in self.versions.items():
            if found.error:
                yield f"version {version} of model {name} cannot be read: {found.error}"
            for oddity in found.oddities:
                yield f"version {version} of model {name}: {oddity}"


def find_versions(models: Path, places: Places | None = None) -> Scan:
    """Returns what the folder holds.

    A version is a sub-folder of a model's folder whose name is a number and that holds one of `MODEL_FILES`.
    Everything else is ignored: a version that is still being written has another name. What cannot be read is reported,
    and keeps nothing else from being found.

    Args:
        models: The folder.
        places: Where models were found before, if anybody looked.

    Raises:
        OSError: When the folder itself cannot be read.
    """
    places = places or Places()
    versions: dict[Key, FoundVersion] = {}
    unreadable: dict[str, str] = {}
    misplaced: dict[str, str] = {}
    for model in sorted(models.iterdir()):
        if model.name.startswith("."):
            continue
        try:
            is_folder = stat.S_ISDIR(model.stat().st_mode)
            if is_folder and not is_model_name(model.name):
                unreadable[ascii(model.name)] = NOT_A_NAME
                continue
            of_model = dict(versions_in(model)) if is_folder else {}
            places.check(model, empty=not of_model)
        except OSError as error:
            if not _has_vanished(model, error):
                unreadable[model.name] = _reason(error)
        else:
            versions |= {(model.name, version): found for version, found in of_model.items()}
            if not of_model and (hint := cure(model)):
                misplaced[model.name] = hint
    places.check(models, empty=not (versions or unreadable))
    return Scan(versions, unreadable, misplaced)


def versions_in(base_path: Path) -> Iterator[tuple[int, FoundVersion]]:
    """Yields number and contents of each version of the model whose folder this is.

    Of several folders with the same number, such as ``1`` and ``001``, the first is taken that can be read.

    Raises:
        OSError: When the folder cannot be read.
    """
    versions: dict[int, list[FoundVersion]] = {}
    for folder in sorted(base_path.iterdir(), key=lambda folder: (len(folder.name), folder.name)):
        number = _number(folder.name)
        if number is not None and (found := version_in(folder)) is not None:
            versions.setdefault(number, []).append(found)
    for number, several in versions.items():
        chosen = min(several, key=lambda found: bool(found.error))
        others = tuple(
            f"the folder {found.folder.name} is left out for {chosen.folder.name}"
            for found in several
            if found is not chosen
        )
        yield number, replace(chosen, oddities=chosen.oddities + others)


def _number(name: str) -> int | None:
    match = _VERSION.fullmatch(name)
    return int(match[1]) if match is not None and int(match[1]) <= _MAX_VERSION else None


def version_in(folder: Path) -> FoundVersion | None:
    """Returns what a folder with the name of a version holds; ``None`` where that is no version."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        return None if _has_vanished(folder, error) else FoundVersion(folder, error=_reason(error))
    model_file = next((name for name in MODEL_FILES if name in names), None)
    return None if model_file is None else _looked_through(folder, model_file)


def _looked_through(folder: Path, model_file: str) -> FoundVersion:
    files = {(os.path.realpath(folder), 0, 0)}
    unreadable: dict[str, str] = {}
    error, memory_bytes = "", 0
    for path, status, is_link in contents(folder):
        name = str(path.relative_to(folder)).encode("utf-8", "backslashreplace").decode()
        if len(files) + len(unreadable) > _MAX_FILES:
            return FoundVersion(folder, error=f"it holds more than {_MAX_FILES} files")
        if isinstance(status, OSError):
            unreadable[name] = _reason(status)
            continue
        leads_to = f" -> {os.path.realpath(path)}" if is_link else ""
        files.add((f"{path}{leads_to}", status.st_size, status.st_mtime_ns))
        if stat.S_ISREG(status.st_mode) and _BESIDE not in path.parts:
            memory_bytes += status.st_size * (_GRAPH_EXPANSION if name == model_file else 1)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            error = f"{name} is neither a file nor a folder"  # whoever opens it may wait for ever
        elif name == model_file and not stat.S_ISREG(status.st_mode):
            error = f"{name} is not a file"
    if model_file in unreadable:
        error = f"{model_file} cannot be read: {unreadable.pop(model_file)}"
    oddities = tuple(f"{name} cannot be read: {why}" for name, why in islice(unreadable.items(), _MAX_ODDITIES))
    return FoundVersion(folder, frozenset(files), error, oddities, memory_bytes)


def contents(folder: Path) -> Iterator[tuple[Path, os.stat_result | OSError, bool]]:
    """Yields everything below a folder, what it is or why that is not known, and whether it is a link.

    Links are followed; a folder to which several lead is looked into once.
    """
    pending, seen = [(folder, os.path.realpath(folder))], set[str]()
    while pending:
        place, real = pending.pop()
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield place, error, False
            continue
        for entry in entries:
            path, is_link = place / entry.name, entry.is_symlink()
            try:
                status = path.stat()
            except OSError as error:
                if not _has_vanished(path, error):
                    yield path, error, is_link
                continue
            yield path, status, is_link
            if stat.S_ISDIR(status.st_mode):
                # To follow each part of each path anew would be most of what a look costs.
                pending.append((path, os.path.realpath(path) if is_link else f"{real}/{entry.name}"))


def state_of(file: Path) -> FileState:
    """Returns the state of a file; one that cannot be looked at has a state, too."""
    try:
        status = file.stat()
    except OSError:
        return str(file), -1, -1
    return str(file), status.st_size, status.st_mtime_ns


def _has_vanished(path: Path, error: OSError) -> bool:
    """Returns whether something is gone since it was listed; a link that leads nowhere is not."""
    return isinstance(error, FileNotFoundError) and not path.is_symlink()


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
