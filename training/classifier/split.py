"""Splits labelled images into training, validation and test part, stratified."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.classifier.data import ImageData

_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.1  # of what is not in the test part
_STRIDE = 0x9E3779B97F4A7C15  # 2**64 by the golden ratio: from seed to seed, other fingerprints are the lowest


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the images: uint8 [N,H,W,C], their labels, int64 [N], and which rows of the data they are, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Parts:
    """The training part, the validation part, by which the scores are calibrated, and the test part."""

    training: Part
    validation: Part
    test: Part


def split(data: ImageData, seed: int) -> Parts:
    """Splits the images into three parts.

    The test part is a fifth, or what the data set itself holds out; the validation part a tenth of the rest. Images
    that came from files are chosen by their content: one that is tested on once remains in the test part when others
    are added, but for the few that make up the share.

    Args:
        data: at least five images of each class.
        seed: the same seed always gives the same parts.
    """
    everything = np.arange(len(data.labels))
    if data.held_out:
        rest, tested = everything[: -data.held_out], everything[-data.held_out :]
    else:
        rest, tested = _split(everything, data, _TEST_SHARE, seed)
    trained, validated = _split(rest, data, _VALIDATION_SHARE, seed)
    return Parts(*(Part(data.images[rows], data.labels[rows], rows) for rows in (trained, validated, tested)))


def _split(
    rows: NDArray[np.int64], data: ImageData, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two stratified parts of some rows, the second with that share of each class, but at least one row of each.

    scikit-learn's stratified split would leave a small class out of a small part.
    """
    generator = np.random.default_rng(seed)
    labels = data.labels
    second = []
    for label in np.unique(labels[rows]):
        members = rows[labels[rows] == label]
        if data.content is not None:
            members = members[np.argsort(data.content[members] + np.uint64(seed * _STRIDE % 2**64))]
        else:
            members = generator.permutation(members)
        second.append(members[: max(round(share * len(members)), 1)])
    taken = np.sort(np.concatenate(second))
    return np.setdiff1d(rows, taken), taken
