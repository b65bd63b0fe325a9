"""What a classifier's images and answers look like, for drift to be noticed."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from training.reference import SignatureStatistics, TensorStatistics, histogram

_SURE = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Edges for the top score: most are near 1, where quantiles would split hairs."""

_MOST = 10_000


def some(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At most ten thousand of the images [N,H,W,C], spread over all of them: enough to tell what they look like."""
    return images[:: -(-len(images) // _MOST)]


def signatures(
    images: NDArray[np.uint8], scores: NDArray[np.floating], validation_scores: NDArray[np.floating]
) -> dict[str, SignatureStatistics]:
    """The reference of a classifier.

    Args:
        images: of the training and the validation part, uint8 [N,H,W,C], for brightness and contrast.
        scores: what the model says of them, [N,K], for the shares of the classes.
        validation_scores: of the validation part alone, for how sure it is: surer of what it was trained on.
    """
    answered: Mapping[str, TensorStatistics] = {
        "scores": TensorStatistics(
            [histogram("argmax", scores), histogram("largest", validation_scores, edges=_SURE)],
        )
    }
    asked = {"images": TensorStatistics([histogram("mean", images), histogram("deviation", images)])}
    files = SignatureStatistics({}, answered)  # they are decoded in the graph: only the answers can be looked at
    return {
        "serving_default": SignatureStatistics(asked, answered),
        "classify_bytes": files,
        "classify_examples": files,
    }
