"""Labelled images by name: data sets that come with a library, or a folder of image files."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from training.classifier.files import fingerprint
from training.classifier.folder import read_folder
from training.errors import TrainingError
from training.options import MOST_BROKEN

_GARMENTS = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_DIGITS = tuple("0123456789")


@dataclass(frozen=True, slots=True)
class ImageData:
    """Labelled images of one size.

    Attributes:
        name: of the data set, for people.
        images: uint8 [N,H,W,C], 0 to 255, C is 1 or 3.
        labels: int64 [N], indices into `classes`.
        classes: the names of the classes.
        held_out: how many images at the end are the test part that the data set itself defines; 0 when it defines none.
        mirrored: a mirrored image still belongs to its class.
        files: the N names of the files that the images came from; empty where there are none.
        content: uint64 [N], the fingerprints of these files; None where there are none.
        notes: what was found out and decided while they were read, a sentence each.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    held_out: int = 0
    mirrored: bool = False
    files: tuple[str, ...] = ()
    content: NDArray[np.uint64] | None = None
    notes: tuple[str, ...] = ()

    def fingerprints(self) -> NDArray[np.uint64]:
        """What tells the images apart, uint64 [N]: of their files, or of their pixels where there are none."""
        if self.content is not None:
            return self.content
        return np.array([fingerprint(image.tobytes()) for image in self.images], np.uint64)

    def sha256(self) -> str:
        """The hash of the pixels, the labels and the names of the classes."""
        digest = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.images).reshape(-1).data)
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


def load(source: str, *, most_broken: float = MOST_BROKEN, size: tuple[int, int, int] | None = None) -> ImageData:
    """Loads a data set.

    Args:
        source: `digits`, `mnist`, `fashion-mnist`, `cifar10`, or a folder with one sub-folder of image files per class.
        most_broken: which share of the files of a folder may be unreadable.
        size: height, width and channels of the images of a folder; None takes what suits them.

    Raises:
        TrainingError: there is no such data set or folder, it cannot be downloaded, or the folder's content is
            unusable.
    """
    if loader := _LOADERS.get(source):
        return loader()
    if not Path(source).is_dir():
        known = ", ".join(_LOADERS)
        raise TrainingError(f"--data: expected one of {known}, or a folder of images; got {source!r}, which is neither")
    found = read_folder(Path(source), most_broken=most_broken, size=size)
    return ImageData(
        Path(source).resolve().name,
        found.images,
        found.labels,
        found.classes,
        files=found.files,
        content=found.content,
        notes=found.notes,
    )


def _digits() -> ImageData:
    """scikit-learn's 8x8 digits, 0 to 16 as published, scaled to 0 to 255."""
    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    return ImageData("digits", pixels, bunch.target.astype(np.int64), _DIGITS)


def _mnist() -> ImageData:
    return _from_keras("mnist", keras.datasets.mnist, _DIGITS)


def _fashion_mnist() -> ImageData:
    return _from_keras("fashion-mnist", keras.datasets.fashion_mnist, _GARMENTS, mirrored=True)


def _cifar10() -> ImageData:
    return _from_keras("cifar10", keras.datasets.cifar10, _OBJECTS, mirrored=True)


def _from_keras(name: str, module: Any, classes: tuple[str, ...], *, mirrored: bool = False) -> ImageData:
    """One of Keras' data sets, its own test part at the end."""
    try:
        (images, labels), (test_images, test_labels) = module.load_data()
    except Exception as error:  # Keras raises a bare Exception when it cannot download
        raise TrainingError(f"--data {name}: Keras could not load or download it: {error}") from error
    pixels = np.concatenate([images, test_images]).astype(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    targets = np.concatenate([labels, test_labels]).reshape(-1).astype(np.int64)
    return ImageData(name, pixels, targets, classes, held_out=len(test_images), mirrored=mirrored)


_LOADERS: dict[str, Callable[[], ImageData]] = {
    "digits": _digits,
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "cifar10": _cifar10,
}
