"""What a published classifier makes of the new test part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.classifier.evaluate import accuracy
from training.gate import NotComparableError, Rival, check_kind
from training.manifest import EXTRA

_TRAINED_ON = "trained_on.npy"
_ROWS = 128  # at a time


def write_trained_on(folder: Path, fingerprints: NDArray[np.uint64]) -> None:
    """Notes which images a version has seen, so that it can be compared later on those it has not.

    Args:
        folder: the version's `assets.extra`.
        fingerprints: uint64 [N], of the training and the validation part.
    """
    np.save(folder / _TRAINED_ON, np.sort(fingerprints), allow_pickle=False)


@dataclass(frozen=True, slots=True)
class Exam:
    """The test part, and what the new model says of it.

    Attributes:
        files: reads some of the N images as files, as they were before this model brought them to its size.
        fingerprints: uint64 [N], theirs.
        truth: int64 [N], their classes.
        predicted: int64 [N], what the new model takes them for.
        classes: the names of the classes.
    """

    files: Callable[[NDArray[np.int64]], Sequence[bytes]]
    fingerprints: NDArray[np.uint64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    classes: Sequence[str]


def measure(folder: Path, manifest: Mapping[str, Any], tested: Exam) -> Rival:
    """Runs a published version on the images of the test part that it was not trained on.

    Args:
        folder: the version's.
        manifest: the version's; empty when it has none.
        tested: the test part.

    Raises:
        NotComparableError: it is another kind of model, has other classes, or has seen too much.
    """
    check_kind(manifest, "classifier")
    new, on = _unseen(folder, tested.fingerprints)
    truth, count = tested.truth[new], len(tested.classes)
    if len(np.unique(truth)) < count:
        raise NotComparableError(
            f"it was trained on {(~new).sum()} of the {len(new)} test images, and the others do not have all classes"
        )
    scores, names = _answers(folder, tested.files, np.flatnonzero(new))
    if names != list(tested.classes):
        raise NotComparableError(f"its classes are {', '.join(names)}")
    theirs = accuracy(truth, scores.argmax(axis=1), count)
    ours = accuracy(truth, tested.predicted[new], count)
    return Rival(theirs.balanced_error, ours.balanced_error, on)


def _unseen(folder: Path, fingerprints: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], str]:
    """Which of the images a version was not trained on, and the words for it."""
    try:
        seen = np.load(folder / EXTRA / _TRAINED_ON, allow_pickle=False)
    except FileNotFoundError:
        return np.ones(len(fingerprints), np.bool_), "on images some of which it may have been trained on"
    new = ~np.isin(fingerprints, seen)
    return new, "" if new.all() else f"on the {new.sum()} of {len(new)} test images that it was not trained on"


def _answers(
    folder: Path, files: Callable[[NDArray[np.int64]], Sequence[bytes]], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], list[str]]:
    """Scores [rows,K], and the names of the K classes."""
    signature = tf.saved_model.load(str(folder)).signatures.get("classify_bytes")
    if signature is None:
        raise NotComparableError("it takes no image files")
    answers = [
        signature(image_bytes=tf.constant(files(rows[start : start + _ROWS]))) for start in range(0, len(rows), _ROWS)
    ]
    names = [name.decode() for name in answers[0]["classes"].numpy()[0]]
    return np.concatenate([answer["scores"].numpy() for answer in answers]), names
