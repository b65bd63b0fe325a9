"""The models folder: which versions there are, in TensorFlow Serving's layout."""

import re
from pathlib import Path

_VERSION = re.compile(r"0*([1-9][0-9]{0,18})")
_MAX_VERSION = 2**63 - 1
MODEL_FILE = "saved_model.pb"


def newest_versions(models: Path) -> dict[str, tuple[int, Path]]:
    """Returns the newest version of each model, with its folder.

    A model is a folder with at least one sub-folder whose name is a positive number and that holds a
    ``saved_model.pb``. Everything else is passed over: what is still being written has another name.

    Raises:
        OSError: When the folder cannot be read.
    """
    found = {}
    for folder in sorted(models.iterdir()):
        if folder.is_dir() and not folder.name.startswith("."):
            versions = dict(_versions(folder))
            if versions:
                newest = max(versions)
                found[folder.name] = (newest, versions[newest])
    return found


def _versions(model: Path) -> list[tuple[int, Path]]:
    return [
        (int(match[1]), folder)
        for folder in model.iterdir()
        if (match := _VERSION.fullmatch(folder.name))
        and int(match[1]) <= _MAX_VERSION
        and (folder / MODEL_FILE).is_file()
    ]
