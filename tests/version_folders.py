"""Version folders that only look like SavedModels: for tests of what is found, not of what is loaded."""

from pathlib import Path


def empty_version(folder: Path) -> Path:
    """Makes the folder of a version with an empty model file in it."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder
