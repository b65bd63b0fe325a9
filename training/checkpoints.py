"""What is kept of a run while it trains, so that another run can go on with it.

It lies in the models folder as `.<name>-<random>.unfinished`, a name that no server scans: `run.json` says what was
asked for, and each phase of the training has one file, replaced as a whole after every epoch. The run holds a lock on
the folder while it lives; one that nobody holds was left by a run that was interrupted.
"""

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from training.display import Display
from training.errors import ChangeRefusedError, PlaceError, PublicationRefusedError, TrainingError
from training.options import PublishOptions
from training.repository import flush, locked, parents

_SUFFIX = ".unfinished"
_RUN = "run.json"
_ABOUT = "about"  # the entry of a phase's file that is JSON


class Checkpoints:
    """The folder of one run; it is made when there is something to keep."""

    def __init__(self, place: PublishOptions, asked: Mapping[str, Any], folder: Path | None) -> None:
        self._place = place
        self._asked = dict(asked)
        self._folder = folder
        self._stack = contextlib.ExitStack()

    def check_data(self, digest: str, what: str = "data") -> None:
        """Notes of which data the run is, or compares them with those of the run that is gone on with.

        Args:
            digest: the hash of all that the training takes from them.
            what: they are, for people.

        Raises:
            TrainingError: the data are others.
            PlaceError: the models folder cannot be written to, or the disk is full.
        """
        self._asked[what] = digest
        if self._folder is None:
            return
        before = _read_run(self._folder)
        _compare(before, self._asked, self._place.name)
        if what not in before:
            try:
                self._write_asked(self._folder)
            except OSError as error:
                raise PlaceError.of(self._place.models, error) from error

    def load(self, phase: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Returns what was saved of a phase; None when it has not got that far.

        Raises:
            TrainingError: the file is damaged.
        """
        import numpy as np

        if self._folder is None or not (path := self._folder / f"{phase}.npz").exists():
            return None
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
            return json.loads(str(arrays.pop(_ABOUT))), arrays
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise TrainingError(f"{path}: cannot be read ({error}); train without --resume") from error

    def save(self, phase: str, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Replaces what is saved of a phase, as a whole: a power cut leaves the file of before.

        Args:
            phase: a file name.
            about: what can be written as JSON.
            arrays: numbers, by name.

        Raises:
            PlaceError: the models folder cannot be written to, or the disk is full.
        """
        import numpy as np

        try:
            if self._folder is None:
                self._folder = self._made()
            entries: dict[str, Any] = {_ABOUT: np.array(json.dumps(about)), **arrays}
            with _replacing(self._folder / f"{phase}.npz") as file:
                np.savez(file, allow_pickle=False, **entries)
        except OSError as error:
            raise PlaceError.of(self._place.models, error) from error

    @property
    def kept(self) -> bool:
        """Whether there is something that a run can go on with."""
        return self._folder is not None

    def forget(self) -> None:
        """Removes what is kept."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Lets another run have it."""
        self._stack.close()

    def _made(self) -> Path:
        models = self._place.models
        models.mkdir(parents=True, exist_ok=True)  # another run, which published nothing, may have removed it
        with locked(models, wait=True):
            folder = Path(tempfile.mkdtemp(prefix=f".{self._place.name}-", suffix=_SUFFIX, dir=models))
            self._stack.enter_context(locked(folder, wait=False))
            self._write_asked(folder)
        return folder

    def _write_asked(self, folder: Path) -> None:
        with _replacing(folder / _RUN) as file:
            file.write((json.dumps(self._asked, indent=2) + "\n").encode())


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a draft of a file, which takes its place as a whole once it is on disk."""
    draft = path.with_name(f"{path.name}.partial")
    with draft.open("wb") as file:
        yield file
    flush(draft)
    draft.replace(path)
    flush(path.parent)


@contextlib.contextmanager
def checkpoints(
    place: PublishOptions, asked: Mapping[str, Any], *, resume: bool, display: Display
) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a run. They are removed when the block ends well, or the model is not good enough.

    After any other error the run can go on, once what was wrong is mended.

    Args:
        place: where the model is to be published.
        asked: what the run depends on, as JSON: options and releases by name.
        resume: go on with the run that was left behind, if there is one; otherwise it is removed.
        display: shows which of the two is done.

    Raises:
        TrainingError: the run that was left behind was asked for something else.
        KeyboardInterrupt: the block's, with what to do about it.
    """
    with parents(place.models / place.name), contextlib.ExitStack() as stack:
        left = _left_behind(place, stack)
        newest = max(left, key=lambda folder: (folder / _RUN).stat().st_mtime, default=None)
        if newest is not None and resume:
            _compare(_read_run(newest), asked, place.name)
            display.note(f"Going on with the run that was interrupted: {newest}")
        elif newest is not None:
            display.note(f"Removing what is left of an interrupted run ({newest}); --resume would have gone on with it")
        elif resume:
            display.note(f"There is no interrupted run of {place.name}: starting from the beginning")
        for folder in left:
            if not resume:
                shutil.rmtree(folder, ignore_errors=True)
        kept = Checkpoints(place, asked, newest if resume else None)
        stack.callback(kept.close)
        try:
            yield kept
        except KeyboardInterrupt as interrupt:
            if kept.kept:
                raise KeyboardInterrupt("interrupted: nothing was published; --resume goes on with it") from interrupt
            raise
        except ChangeRefusedError:  # --allow-change goes on with it
            raise
        except PublicationRefusedError:
            kept.forget()
            raise
        kept.forget()


def _left_behind(place: PublishOptions, stack: contextlib.ExitStack) -> list[Path]:
    """The folders of runs of this name that live no more, locked."""
    found = []
    with locked(place.models, wait=True):  # or one that is just being made would look like an abandoned one
        for folder in place.models.glob(f".*{_SUFFIX}"):
            if folder.name.rpartition("-")[0] != f".{place.name}":
                continue
            with contextlib.suppress(OSError):  # a living run holds the lock, or just removed it
                stack.enter_context(locked(folder, wait=False))
                if (folder / _RUN).is_file():
                    found.append(folder)
                else:  # killed while it was made
                    shutil.rmtree(folder, ignore_errors=True)
    return found


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / _RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder / _RUN}: cannot be read ({error}); train without --resume") from error
    return content


def _compare(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> None:
    """Refuses to go on with a run that was asked for something else, of all that both say."""
    changes = [
        f"{what} was {before[what]}, is now {now[what]}" for what in now if what in before and before[what] != now[what]
    ]
    if changes:
        raise TrainingError(
            f"--resume: the interrupted run of {name!r} was another one: {'; '.join(changes)}. Ask for what it was "
            "asked for, or train without --resume"
        )
