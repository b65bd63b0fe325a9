"""Which folders models were found in: what is left where a file system is unmounted is another folder, and empty."""

from pathlib import Path

_LOST = "it is empty, and not the folder that it was: its file system may have been unmounted"


class Places:
    """Knows the folders in which something was found."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int]] = {}

    def check(self, folder: Path, *, empty: bool) -> None:
        """Compares a folder with what was last at its path and held something.

        Args:
            folder: Its path.
            empty: Whether nothing was found in it.

        Raises:
            OSError: When it is empty and was another one: nobody has deleted what was there.
        """
        status = folder.stat()
        found = status.st_dev, status.st_ino
        if not empty:
            self._known[folder] = found
        elif self._known.get(folder, found) != found:
            raise OSError(0, _LOST)
