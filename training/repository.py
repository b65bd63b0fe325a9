"""The models folder: versions appear in it whole, or not at all.

A version is written as `models/.<name>-<random>.partial`, a name that no server scans, and moves to
`models/<name>/<version>` by one rename. The writer holds a lock on its folder, so that the next run can
distinguish what a killed run left behind from what another run is writing.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training.errors import PlaceError, TrainingError
from training.manifest import read_manifest

_SUFFIX = ".partial"
_ROOM = 64 * 2**20  # bytes: more than the largest version that the commands write


def versions(models: Path, name: str) -> list[int]:
    """Returns the published versions of a model, ascending; empty when there is none."""
    folder = models / name
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal() and entry.is_dir())


def version_folder(models: Path, name: str, version: int) -> Path:
    """Returns where a version lies, or would lie."""
    return models / name / str(version)


def _numbers(models: Path, name: str) -> Iterator[int]:
    """The numbers that versions of a model have, and had before they were renamed: no two are to be of one number."""
    yield from versions(models, name)
    for folder in (models / name).glob("*/"):
        with contextlib.suppress(TrainingError):
            number = (read_manifest(folder) or {}).get("version")
            if isinstance(number, int):
                yield number


@dataclass(frozen=True, slots=True)
class Draft:
    """A version that is being written: fill `folder`, then `publish`."""

    models: Path
    name: str
    folder: Path

    def publish(self, seal: Callable[[int], None]) -> Path:
        """Gives the draft the next version number and moves it to its place.

        Args:
            seal: writes into the folder what depends on the number. No other run publishes meanwhile; what it raises
                is raised, and nothing was published.

        Returns:
            The folder of the published version.

        Raises:
            OSError: the file system refused; nothing was published.
        """
        with locked(self.models, wait=True):  # one writer at a time counts versions and makes folders
            version = max(_numbers(self.models, self.name), default=0) + 1
            target = version_folder(self.models, self.name, version)
            seal(version)
            _flush_tree(self.folder)
            with parents(target):
                self.folder.rename(target)
                flush(target.parent)
                flush(self.models)
        return target


@contextlib.contextmanager
def draft(models: Path, name: str) -> Iterator[Draft]:
    """Opens a draft; whatever of it is not published when the block ends, for any reason, is removed.

    Args:
        models: the models folder; created when missing, and removed again when nothing was published in it.
        name: the model's name.

    Raises:
        OSError: the folder cannot be written to.
    """
    with parents(models / name), contextlib.ExitStack() as stack:
        yield Draft(models, name, _opened(models, name, stack))


def check_place(models: Path, name: str) -> None:
    """Finds out whether a version can be published, by all steps of it but the last; leaves nothing behind.

    Args:
        models: the models folder; need not be there yet.
        name: the model's name.

    Raises:
        PlaceError: a folder is none, or may not be written to, or the disk has not enough room.
    """
    for folder in (models, models / name):
        if folder.exists() and not folder.is_dir():
            raise PlaceError(f"--models {models}: expected a folder, got a file: {folder}")
    try:
        with draft(models, name) as probe:
            with (probe.folder / "room").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _ROOM)
            if (models / name).is_dir():
                Path(tempfile.mkdtemp(prefix=".", suffix=_SUFFIX, dir=models / name)).rmdir()
    except OSError as error:
        raise PlaceError.of(models, error) from error


def _opened(models: Path, name: str, stack: contextlib.ExitStack) -> Path:
    """Makes the folder of a draft, locked, and sees to it that it is removed when the stack unwinds."""
    while True:
        try:
            with locked(models, wait=True):  # until it is locked, a new draft looks like an abandoned one
                _remove_abandoned(models)
                folder = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=_SUFFIX, dir=models))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                stack.enter_context(locked(folder, wait=False))
        except FileNotFoundError:  # another run, which had made the models folder and published nothing, removed it
            models.mkdir(parents=True, exist_ok=True)
        else:
            folder.chmod(0o755)  # mkdtemp is private to its user, servers often run as another
            return folder


@contextlib.contextmanager
def parents(path: Path) -> Iterator[None]:
    """Makes sure of the folders above a path, and leaves none behind that is empty and was not there before."""
    missing = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty, or gone already
            for created in missing:
                created.rmdir()


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool) -> Iterator[None]:
    """Holds the lock of a folder; the system drops it with the process.

    Raises:
        BlockingIOError: another holds it, and `wait` is false.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(models: Path) -> None:
    """Removes the drafts whose writers are gone."""
    for folder in models.glob(f".*{_SUFFIX}"):
        with (
            contextlib.suppress(OSError),
            locked(folder, wait=False),
        ):  # a living writer holds the lock, or just removed it
            shutil.rmtree(folder, ignore_errors=True)


def _flush_tree(root: Path) -> None:
    """Forces everything below a folder to disk, the folders after what they list."""
    for parent, _, files in os.walk(root, topdown=False):
        for file in files:
            flush(Path(parent) / file)
        flush(Path(parent))


def flush(path: Path) -> None:
    """Forces a file, or what a folder lists, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
