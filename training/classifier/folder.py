"""A folder with one sub-folder of image files per class."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pictures.plain import PictureError, plain
from training.classifier.decoding import decode_image, decode_images
from training.errors import TrainingError

_OTHER_IMAGES = frozenset(
    {".avif", ".heic", ".heif", ".jp2", ".tif", ".tiff", ".webp"}
)  # not to be passed over, silently
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp"})
_FEWEST_PER_CLASS = 5  # fewer cannot be split into three parts that all have the class
_LONGEST_SIDE = 128


def read_folder(root: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Reads all images below a folder, in one size and one number of channels, as people see them.

    The size is the median of the heights and widths, at most 128 pixels on the longer side; the channels are 1 when
    every image is grey, otherwise 3. A file whose bytes occur twice in a class is read once, so that no image is
    in both training and test part.

    Args:
        root: its sub-folders, sorted by name, are the classes; hidden ones and other files are passed over.

    Returns:
        uint8 [N,H,W,C], int64 [N], and the names of the classes.

    Raises:
        TrainingError: fewer than two classes, a class with fewer than five images, a file that cannot be decoded,
            or the same image in two classes.
    """
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(folders) < 2:
        raise TrainingError(
            f"{root}: expected a sub-folder of images for each of at least 2 classes, got {len(folders)}"
        )
    files: dict[bytes, tuple[Path, int]] = {}
    for label, folder in enumerate(folders):
        _collect(folder, label, files)
    pictures = [_plain(content, path) for content, (path, _) in files.items()]
    shapes = [_shape(picture, path) for picture, (path, _) in zip(pictures, files.values(), strict=True)]
    height, width = _common_size(shapes)
    channels = 1 if all(shape[2] <= 2 for shape in shapes) else 3
    pixels = decode_images(tf.constant(pictures), height=height, width=width, channels=channels)
    images = np.rint(pixels.numpy()).clip(0, 255).astype(np.uint8)
    labels = np.array([label for _, label in files.values()], np.int64)
    return images, labels, tuple(folder.name for folder in folders)


def _collect(folder: Path, label: int, files: dict[bytes, tuple[Path, int]]) -> None:
    """Adds the image files of one class, by content."""
    found = 0
    for path in sorted(folder.rglob("*")):
        suffix = path.suffix.lower()
        if suffix in _OTHER_IMAGES:
            raise TrainingError(f"{path}: expected PNG, JPEG, GIF or BMP images, got {suffix}: convert or remove it")
        if suffix not in _SUFFIXES or not path.is_file():
            continue
        content = path.read_bytes()
        known = files.get(content)
        if known is None:
            files[content] = (path, label)
            found += 1
        elif known[1] != label:
            raise TrainingError(f"{path}: the same image is in another class as {known[0]}")
    if found < _FEWEST_PER_CLASS:
        kinds = ", ".join(sorted(_SUFFIXES))
        raise TrainingError(f"{folder}: expected at least {_FEWEST_PER_CLASS} different images ({kinds}), got {found}")


def _plain(content: bytes, path: Path) -> bytes:
    """The file as the gateway would give it to the model.

    Raises:
        TrainingError: it is not an image, or a damaged one.
    """
    try:
        return plain(content)
    except PictureError as error:
        raise _undecodable(path) from error


def _shape(content: bytes, path: Path) -> tuple[int, int, int]:
    """Height, width and channels of an image file.

    Raises:
        TrainingError: it is damaged.
    """
    try:
        decoded = tf.io.decode_image(content, expand_animations=False)
        decode_image(tf.constant(content), channels=3)
    except tf.errors.InvalidArgumentError as error:
        raise _undecodable(path) from error
    height, width, channels = decoded.shape
    return height, width, channels


def _undecodable(path: Path) -> TrainingError:
    return TrainingError(f"{path}: expected a PNG, JPEG, GIF or BMP image, got a file that cannot be decoded")


def _common_size(shapes: list[tuple[int, int, int]]) -> tuple[int, int]:
    """One height and width for all, of their usual proportions."""
    height, width = (float(np.median([shape[side] for shape in shapes])) for side in (0, 1))
    shrink = min(1.0, _LONGEST_SIDE / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))
