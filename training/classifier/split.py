"""Divides labelled images into three parts that have the classes in equal shares and no image in common."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.classifier.data import ImageData

_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.1  # of what is not tested on


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the images: uint8 [N,H,W,C], and their labels, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is learned from, what decides when to stop, and what the model is judged by."""

    training: Part
    validation: Part
    test: Part


def split(data: ImageData, seed: int) -> Parts:
    """Divides the images into three parts.

    The test part is a fifth, or what the data set itself holds out; the validation part a tenth of the rest.

    Args:
        data: at least five images of each class.
        seed: the same seed always gives the same parts.
    """
    everything = np.arange(len(data.labels))
    if data.held_out:
        learned, tested = everything[: -data.held_out], everything[-data.held_out :]
    else:
        learned, tested = _divided(everything, data.labels, _TEST_SHARE, seed)
    trained, validated = _divided(learned, data.labels, _VALIDATION_SHARE, seed)
    return Parts(*(Part(data.images[rows], data.labels[rows]) for rows in (trained, validated, tested)))


def _divided(
    rows: NDArray[np.int64], labels: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two stratified parts of some rows, the second with that share of each class, and at least one of it.

    scikit-learn's stratified split would leave a small class out of a small part.
    """
    generator = np.random.default_rng(seed)
    second = []
    for label in np.unique(labels[rows]):
        members = generator.permutation(rows[labels[rows] == label])
        second.append(members[: max(round(share * len(members)), 1)])
    taken = np.sort(np.concatenate(second))
    return np.setdiff1d(rows, taken), taken
