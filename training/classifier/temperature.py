"""Softens or sharpens a classifier's scores until they mean what they say."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_RANGE = (0.2, 5.0)


def temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Finds the number by which logits are to be divided for the least cross-entropy.

    Guo et al., "On Calibration of Modern Neural Networks", 2017.

    Args:
        logits: [N,K], of images that were not trained on. Where all of them are put in their class, it is the smallest
            number, and every score nearly 1.
        labels: int64 [N].

    Returns:
        A number from 0.2 to 5.
    """

    def cross_entropy(logarithm: float) -> float:
        scores = log_softmax(logits.astype(np.float64) / np.exp(logarithm), axis=1)
        return float(-scores[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(cross_entropy, bounds=np.log(_RANGE), method="bounded")
    return float(np.exp(found.x))
