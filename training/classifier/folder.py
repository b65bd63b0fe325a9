"""A folder with one sub-folder of image files per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.classifier.decoding import decode_images
from training.classifier.files import (
    SUFFIXES,
    UnreadableError,
    as_served,
    content_of,
    fingerprint,
    is_of_system,
    picture_files,
    shape_of,
)
from training.errors import TrainingError

_FEWEST_PER_CLASS = 5  # fewer cannot be split into three parts that all have the class
_LONGEST_SIDE = 128
_MOST_NAMED = 10
_ROWS = 128  # decoded at a time
_PARTS = frozenset({"dev", "test", "testing", "train", "training", "val", "valid", "validation"})


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a folder.

    Attributes:
        images: uint8 [N,H,W,C].
        labels: int64 [N].
        classes: their names.
        files: the N paths, relative to the folder.
        content: uint64 [N], the fingerprints of the files.
        notes: what was left out and why, a sentence each.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    files: tuple[str, ...]
    content: NDArray[np.uint64]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    label: int
    shape: tuple[int, int, int]


def read_folder(root: Path, *, most_broken: float, size: tuple[int, int, int] | None = None) -> Pictures:
    """Reads all images below a folder, in one size and one number of channels, as people see them.

    The size is the median of the heights and widths, at most 128 pixels on the longer side; the channels are 1 when
    every image is grey, otherwise 3. A file whose bytes occur twice in a class is read once, so that no file is in both
    training and test part.

    Args:
        root: its sub-folders, sorted by name, are the classes; hidden ones and other files are passed over.
        most_broken: which share of the files may be unreadable; they are left out.
        size: height, width and channels; None takes those above.

    Raises:
        TrainingError: fewer than two classes, a class with fewer than five images, sub-folders that are parts and not
            classes, too many files that cannot be read, or the same image in two classes.
    """
    try:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not is_of_system(entry))
        notes = _checked(root, folders)
        files, broken = _read(folders)
    except OSError as error:
        raise TrainingError(f"{error.filename}: cannot be read: {error.strerror}") from error
    notes += _broken_note(root, broken, len(files), most_broken)
    _check_counts(folders, [file.label for file in files.values()])
    usual = _usual_size([file.shape for file in files.values()])
    if size is not None and size != usual:
        notes.append(f"the images are {_text(size)}, those of the published version; they would be {_text(usual)} else")
    return Pictures(
        images=_pixels([file.path for file in files.values()], size or usual),
        labels=np.array([file.label for file in files.values()], np.int64),
        classes=tuple(folder.name for folder in folders),
        files=tuple(str(file.path.relative_to(root)) for file in files.values()),
        content=np.array(list(files), np.uint64),
        notes=tuple(notes),
    )


def read_picture(path: Path) -> bytes:
    """Reads a picture that could be read before, as the gateway would give it to the model.

    Raises:
        TrainingError: it can be read no more.
    """
    try:
        return as_served(content_of(path))
    except UnreadableError as reason:
        raise TrainingError(f"{path}: could be read before, and now: {reason}") from reason


def _checked(root: Path, folders: Sequence[Path]) -> list[str]:
    """Whether the sub-folders can be classes.

    Returns:
        What their names make doubtful.

    Raises:
        TrainingError: they are too few, or the parts of a data set that is split already.
    """
    if len(folders) < 2:
        raise TrainingError(
            f"{root}: expected a sub-folder of images for each of at least 2 classes, got {len(folders)}"
        )
    names = ", ".join(folder.name for folder in folders)
    if not {folder.name.lower() for folder in folders} <= _PARTS:
        return []
    if any(entry.is_dir() and not is_of_system(entry) for folder in folders for entry in folder.iterdir()):
        largest = next((folder for folder in folders if folder.name.lower().startswith("train")), folders[0])
        raise TrainingError(
            f"{root}: expected a sub-folder of images for each class, got those of a data set that is split already "
            f"({names}): give one of them, --data {largest}, which is split anew, or put the images of each class "
            "into one folder"
        )
    return [f"the sub-folders {names} are taken as classes, though they are called like the parts of a data set"]


def _read(folders: Sequence[Path]) -> tuple[dict[int, _File], list[str]]:
    """The readable files by their fingerprints, and what is wrong with the others."""
    files: dict[int, _File] = {}
    broken = []
    for label, folder in enumerate(folders):
        for path in picture_files(folder):
            try:
                content = content_of(path)
                key = fingerprint(content)
                known = files.get(key)
                if known is None:
                    files[key] = _File(path, label, shape_of(as_served(content)))
                elif known.label != label:
                    raise TrainingError(f"{path}: the same image is in another class as {known.path}")
            except UnreadableError as reason:
                broken.append(f"{path}: {reason}")
    return files, broken


def _broken_note(root: Path, broken: Sequence[str], read: int, most: float) -> list[str]:
    if not broken:
        return []
    more = [f"and {len(broken) - _MOST_NAMED} more"] if len(broken) > _MOST_NAMED else []
    named = "; ".join([*broken[:_MOST_NAMED], *more])
    count, total = len(broken), read + len(broken)
    if count > most * total:
        raise TrainingError(
            f"{root}: {count} of {total} files cannot be read, and --max-broken {most:g} allows {most * total:.0f} "
            f"of them: {named}"
        )
    return [f"{count} of {total} files cannot be read and were left out: {named}"]


def _check_counts(folders: Sequence[Path], labels: Sequence[int]) -> None:
    for label, folder in enumerate(folders):
        if (found := labels.count(label)) < _FEWEST_PER_CLASS:
            kinds = ", ".join(sorted(SUFFIXES))
            raise TrainingError(
                f"{folder}: expected at least {_FEWEST_PER_CLASS} different images ({kinds}), got {found}"
            )


def _usual_size(shapes: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    """One height and width for all, of their usual proportions, and one number of channels."""
    height, width = (float(np.median([shape[side] for shape in shapes])) for side in (0, 1))
    shrink = min(1.0, _LONGEST_SIDE / max(height, width))
    channels = 1 if all(shape[2] <= 2 for shape in shapes) else 3
    return max(1, round(height * shrink)), max(1, round(width * shrink)), channels


def _text(size: tuple[int, int, int]) -> str:
    height, width, channels = size
    return f"{width}x{height} pixels, " + ("grey" if channels == 1 else "in colour")


def _pixels(paths: Sequence[Path], size: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pictures in one size, uint8 [N,H,W,C]; they are read again, as their files may take more memory than that."""
    height, width, channels = size
    pixels = np.empty((len(paths), *size), np.uint8)
    for start in range(0, len(paths), _ROWS):
        files = tf.constant([read_picture(path) for path in paths[start : start + _ROWS]])
        decoded = decode_images(files, height=height, width=width, channels=channels).numpy()
        pixels[start : start + _ROWS] = np.rint(decoded).clip(0, 255)
    return pixels
