"""Hints for models folders whose layout is not TensorFlow Serving's."""

from collections.abc import Iterator
from pathlib import Path

MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
"""One of these makes a folder a version; TensorFlow reads the first that exists."""

_OTHER_FORMATS = {".keras", ".h5", ".hdf5", ".tflite", ".onnx"}
_MAX_ENTRIES = 1000
"""Maximum number of entries of a folder that are looked at."""


def cure(model: Path) -> str:
    """Returns what to do about an entry of the models folder that has no version; empty if there is no hint.

    No file is opened, and errors of the file system are ignored.
    """
    try:
        hint = next(_cures(model), "") if model.is_dir() else _cure_of_file(model)
    except OSError:
        return ""
    return hint.encode("utf-8", "backslashreplace").decode()  # names of files need not be UTF-8


def _cure_of_file(file: Path) -> str:
    if file.name in MODEL_FILES:
        return f"{file.name} lies in the models folder itself: move all of its folder to NAME/1"
    if file.suffix.lower() in _OTHER_FORMATS:
        return f"{file.name} is no SavedModel: export it, model.export('{file.stem}/1')"
    return ""


def _cures(model: Path) -> Iterator[str]:
    name = model.name
    if is_version(model):
        if name.isdecimal():
            yield f"this is a version, not a model: the folder above {name} is a model's; serve the one above that"
        else:
            yield f"{name} is a version, not a model: move what is in it to {name}/1"
    entries = sorted(model.iterdir())[:_MAX_ENTRIES]
    for entry in entries:
        if entry.suffix.lower() in _OTHER_FORMATS:
            yield f"{name}/{entry.name} is no SavedModel: export it, model.export('{name}/1')"
    for folder in (entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")):
        yield from _cures_of_version(name, folder)


def _cures_of_version(name: str, folder: Path) -> Iterator[str]:
    place = f"{name}/{folder.name}"
    if is_version(folder):
        yield f"{place} has no number for a name: rename it, such as {name}/1"
        return
    entries = sorted(folder.iterdir())[:_MAX_ENTRIES]
    for entry in entries:
        if entry.suffix.lower() in _OTHER_FORMATS:
            yield f"{place}/{entry.name} is no SavedModel: export it, model.export('{place}')"
        elif entry.is_dir() and is_version(entry):
            number = folder.name if folder.name.isdecimal() else "1"
            yield f"{place}/{entry.name} lies one folder too deep: move what is in it to {name}/{number}"
    if folder.name.isdecimal():
        yield f"{place} holds {'no' if entries else 'nothing, and so no'} {MODEL_FILES[0]}: publish a SavedModel there"


def is_version(folder: Path) -> bool:
    """Returns whether a folder has a model in it."""
    return any((folder / name).is_file() for name in MODEL_FILES)
