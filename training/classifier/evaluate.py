"""Judges a classifier on images it has never seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 10


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How often a classifier is right.

    Attributes:
        accuracy: the share of images put in their class.
        macro_f1: the mean over the classes of the harmonic mean of precision and recall; 0 for a class never hit.
        recall: per class, the share of its images that were recognised.
        confusion: int64 [K,K], rows the true class, columns the predicted one.
    """

    accuracy: float
    macro_f1: float
    recall: NDArray[np.float64]
    confusion: NDArray[np.int64]

    @property
    def balanced_error(self) -> float:
        """One less the mean recall of the classes, so that each weighs the same, however rare it is."""
        return float(1 - self.recall.mean())


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a score means what it says.

    Attributes:
        error: the expected calibration error.
        confidence: per bin of the top score, its mean; NaN in an empty bin.
        accuracy: per bin, the share of images that were right; NaN in an empty bin.
        count: per bin, how many images.
    """

    error: float
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]


def accuracy(truth: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Accuracy:
    """Counts what was right and what was mistaken for what.

    Args:
        truth: int [N], the true classes, each at least once.
        predicted: int [N].
        classes: how many there are.
    """
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    hits = np.diag(confusion)
    of_class, said = confusion.sum(axis=1), confusion.sum(axis=0)
    # 2 TP / (2 TP + FP + FN), whose denominator is zero only for a class that neither occurs nor is predicted
    f1 = 2 * hits / np.maximum(of_class + said, 1)
    return Accuracy(
        accuracy=float(hits.sum() / len(truth)),
        macro_f1=float(f1.mean()),
        recall=hits / np.maximum(of_class, 1),
        confusion=confusion,
    )


def calibration(scores: NDArray[np.floating], truth: NDArray[np.int64]) -> Calibration:
    """Compares the top score with how often it is right.

    The error is the mean over ten equal bins of the top score, weighted by their images, of the distance between mean
    score and accuracy (Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3).

    Args:
        scores: [N,K], probabilities.
        truth: int [N].
    """
    top = scores.max(axis=1).astype(np.float64)
    right = scores.argmax(axis=1) == truth
    # bins are closed above, so that a score of exactly 1 has one
    bins = np.clip(np.ceil(top * _BINS).astype(int) - 1, 0, _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(bins, top, _BINS) / count
        share_right = np.bincount(bins, right, _BINS) / count
    error = float(np.nansum(count * np.abs(confidence - share_right)) / len(truth))
    return Calibration(error, confidence, share_right, count)


def as_metrics(found: Accuracy, classes: Sequence[str]) -> dict[str, object]:
    """The figures for `metrics.json`."""
    return {
        "accuracy": found.accuracy,
        "macro_f1": found.macro_f1,
        "recall": {name: float(value) for name, value in zip(classes, found.recall, strict=True)},
        "confusion": found.confusion.tolist(),
    }
