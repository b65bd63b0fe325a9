"""What one would use instead of a network: a support vector machine on the pixels, and guessing the commonest class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.svm import SVC

from training.classifier.split import Part, Parts

_COSTS = (1.0, 10.0)
_WIDTHS = (1.0, 4.0, 16.0)  # times scikit-learn's own choice of gamma, 1 / (features * variance)
_FOLDS = 3
_ROWS = 1_000  # that are averaged at a time
_MOST_ROWS = 10_000  # the machine's cost grows with their square
_MOST_TRIED = 2_000  # rows on which the settings are compared
_LONGEST_SIDE = 32  # pixels; the cost grows with their number, too
_MOST_COMPONENTS = 256


@dataclass(frozen=True, slots=True)
class SupportVectors:
    """The fitted machine's answers.

    Attributes:
        predicted: int64 [N], a class for each test image.
        settings: the parameters that did best in cross-validation.
        rows: how many images it was fitted on at last.
    """

    predicted: NDArray[np.int64]
    settings: dict[str, float]
    rows: int


def support_vectors(parts: Parts) -> SupportVectors:
    """Fits scikit-learn's SVC with a radial kernel.

    The settings are those that do best in cross-validation on training and validation part; with them it is fitted once
    more on both, which is more than the network learns from. Of a large data set it sees 10,000 rows, and of a larger
    picture the means over squares of pixels, at most 32 on a side, and of more than 256 values as many principal
    components.
    """
    pixels = np.concatenate([_pixels(parts.training), _pixels(parts.validation)])
    labels = np.concatenate([parts.training.labels, parts.validation.labels])
    tested = _pixels(parts.test)
    if pixels.shape[1] > _MOST_COMPONENTS:
        some, _ = _some(pixels, labels, _MOST_TRIED)
        components = PCA(min(_MOST_COMPONENTS, len(some)), svd_solver="randomized", random_state=0).fit(some)
        pixels, tested = components.transform(pixels), components.transform(tested)
    tried = _some(pixels, labels, _MOST_TRIED)
    natural = 1 / (pixels.shape[1] * (pixels.var() or 1.0))
    grid = [{"C": cost, "gamma": float(natural * width)} for cost in _COSTS for width in _WIDTHS]
    folds = KFold(_FOLDS, shuffle=True, random_state=0)
    scores = [cross_val_score(SVC(**settings), *tried, cv=folds).mean() for settings in grid]
    best = grid[int(np.argmax(scores))]
    fitted_on = _some(pixels, labels, _MOST_ROWS)
    machine = SVC(**best).fit(*fitted_on)
    return SupportVectors(machine.predict(tested), best, len(fitted_on[1]))


def majority_accuracy(parts: Parts) -> float:
    """The accuracy, on the test part, of always saying the training part's commonest class."""
    commonest = np.bincount(parts.training.labels).argmax()
    return float((parts.test.labels == commonest).mean())


def _pixels(part: Part) -> NDArray[np.float32]:
    """The images as rows, 0 to 1."""
    side = -(-max(part.images.shape[1:3]) // _LONGEST_SIDE)
    means = [_means(part.images[start : start + _ROWS], side) for start in range(0, len(part), _ROWS)]
    return np.concatenate(means).reshape(len(part), -1) / np.float32(255)


def _means(images: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Means over squares of that side, float32 [N,H/side,W/side,C]; the border is repeated to fill the last."""
    height, width = images.shape[1:3]
    filled = np.pad(images, ((0, 0), (0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    squares = filled.reshape(len(images), filled.shape[1] // side, side, filled.shape[2] // side, side, -1)
    means: NDArray[np.float32] = squares.mean(axis=(2, 4), dtype=np.float32)
    return means


def _some(
    pixels: NDArray[np.float32], labels: NDArray[np.int64], most: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All rows, or a stratified choice when there are too many; what is left out has a row of each class, at least."""
    if len(labels) - most < len(np.unique(labels)):
        return pixels, labels
    some, _, of_some, _ = train_test_split(pixels, labels, train_size=most, random_state=0, stratify=labels)
    return some, of_some
