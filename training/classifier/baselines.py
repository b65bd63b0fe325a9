"""What one would use instead of a network: a support vector machine on the pixels, and guessing the commonest class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from training.classifier.split import Part, Parts

_COSTS = (1.0, 10.0)
_WIDTHS = (0.5, 1.0, 2.0, 4.0)  # times scikit-learn's own choice of gamma, 1 / (features * variance)
_MOST_ROWS = 10_000  # the machine's cost grows with their square


@dataclass(frozen=True, slots=True)
class SupportVectors:
    """The fitted machine's answers.

    Attributes:
        predicted: int64 [N], a class for each test image.
        settings: the parameters that did best on the validation part.
        rows: how many images it was fitted on at last.
    """

    predicted: NDArray[np.int64]
    settings: dict[str, float]
    rows: int


def support_vectors(parts: Parts) -> SupportVectors:
    """Fits scikit-learn's SVC with a radial kernel.

    The parameters are those that do best on the validation part; with them it is fitted once more on training and
    validation part together, which is more than the network learns from. Of a large data set it sees 10,000 rows.
    """
    training = _rows(parts.training)
    validation = _rows(parts.validation)
    natural = 1 / (training[0].shape[1] * (training[0].var() or 1.0))
    grid = [{"C": cost, "gamma": float(natural * width)} for cost in _COSTS for width in _WIDTHS]
    scores = [SVC(**settings).fit(*training).score(*validation) for settings in grid]
    best = grid[int(np.argmax(scores))]
    pixels = np.concatenate([training[0], validation[0]])
    labels = np.concatenate([training[1], validation[1]])
    machine = SVC(**best).fit(pixels, labels)
    return SupportVectors(machine.predict(_pixels(parts.test)), best, len(labels))


def majority_accuracy(parts: Parts) -> float:
    """The accuracy, on the test part, of always saying the training part's commonest class."""
    commonest = np.bincount(parts.training.labels).argmax()
    return float((parts.test.labels == commonest).mean())


def _pixels(part: Part) -> NDArray[np.float32]:
    """The images as rows, 0 to 1."""
    return part.images.reshape(len(part), -1).astype(np.float32) / np.float32(255)


def _rows(part: Part) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows and labels; a stratified choice when there are too many."""
    pixels, labels = _pixels(part), part.labels
    if len(labels) > _MOST_ROWS:
        pixels, _, labels, _ = train_test_split(pixels, labels, train_size=_MOST_ROWS, random_state=0, stratify=labels)
    return pixels, labels
