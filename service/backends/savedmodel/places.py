"""Recognises unmounted file systems: what is left there is another folder than before, and empty."""

from pathlib import Path

_LOST = "it is empty, and not the folder that it was: its file system may have been unmounted"


class Places:
    """Remembers the folders in which something was found."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int]] = {}

    def check(self, folder: Path, *, empty: bool) -> None:
        """Compares a folder with the last one at its path that was not empty.

        Args:
            folder: The path.
            empty: Whether nothing was found in it.

        Raises:
            OSError: When it is empty and not the same folder: its contents were not deleted.
        """
        status = folder.stat()
        found = status.st_dev, status.st_ino
        if not empty:
            self._known[folder] = found
        elif self._known.get(folder, found) != found:
            raise OSError(0, _LOST)
