"""What should be known of a folder of pictures before its figures are believed."""

import numpy as np

from training.classifier.data import ImageData
from training.classifier.likeness import alike
from training.classifier.split import Parts

_UNEVEN = 10  # times as many images as the smallest class has
_MOST_NAMED = 3


def findings(data: ImageData, parts: Parts) -> tuple[str, ...]:
    """Looks for classes of very different sizes, and for test images that look like images that are trained on.

    Returns:
        A sentence each; none for a data set that comes with a library.
    """
    return (*_imbalance(data), *_near_duplicates(data, parts)) if data.files else ()


def _imbalance(data: ImageData) -> tuple[str, ...]:
    counts = np.bincount(data.labels)
    if counts.max() < _UNEVEN * counts.min():
        return ()
    sizes = ", ".join(f"{data.classes[label]} {counts[label]}" for label in np.argsort(-counts))
    return (f"the classes are of very different sizes, and the small ones are learnt and measured badly: {sizes}",)


def _near_duplicates(data: ImageData, parts: Parts) -> tuple[str, ...]:
    learnt = np.concatenate([parts.training.rows, parts.validation.rows])
    found = alike(parts.test.images, data.images[learnt])
    rows = np.flatnonzero(found >= 0)
    if not len(rows):
        return ()
    pairs = [f"{data.files[parts.test.rows[row]]} like {data.files[learnt[found[row]]]}" for row in rows[:_MOST_NAMED]]
    more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
    return (
        f"{len(rows)} of {len(found)} test images look like images that are trained on, so the figures flatter: "
        f"{', '.join(pairs)}{more}",
    )
