"""Version folders that only look like SavedModels: for tests of what is found, not of what is loaded."""

from pathlib import Path

from service.backends.savedmodel.folder import Key
from service.backends.savedmodel.version_manager import VersionManager


def empty_version(folder: Path) -> Path:
    """Makes the folder of a version with an empty model file in it."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    return folder


def states(manager: VersionManager) -> dict[Key, str]:
    """Returns the state of each version, with its error."""
    catalog = manager.catalog
    return {
        (name, entry.version): f"{entry.state} {entry.error}".strip()
        for name in catalog.names()
        for entry in catalog.versions(name)
    }


async def look(manager: VersionManager) -> None:
    """Looks at the folder twice: what has changed is taken up at the second look."""
    for _ in range(2):
        await manager.reconcile(settled=set())
