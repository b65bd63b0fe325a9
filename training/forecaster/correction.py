"""How much of what a network adds to a forecast is taken: as much as it is sure to help."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHARES = (0.25, 0.5, 0.75, 1.0)
_LEAST = 0.05  # a smaller share is none
_FEWEST_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Correction:
    """What a network adds to a forecast on examples that it was not trained on.

    Attributes:
        share: from 0 to 1, how much of the correction is to be taken.
        linear_error: the mean absolute error without it.
        error: with all of it.
        apart: these examples did not choose the epoch of the network either.
    """

    share: float
    linear_error: float
    error: float
    apart: bool = True


NONE = Correction(share=0.0, linear_error=0.0, error=0.0)
"""Of a network that is not there."""


def can_be_judged(origins: int, horizon: int) -> bool:
    """Whether there are enough examples to tell help from chance."""
    return origins >= _FEWEST_BLOCKS * horizon


def judge(truth: NDArray[np.floating], line: NDArray[np.floating], corrected: NDArray[np.floating]) -> Correction:
    """Finds the share that helps most, and shrinks it by how far that could be chance.

    A gain of g whose standard error is e is shrunk by 1 - (e/g)², and to nothing where that is below zero (James and
    Stein, "Estimation with quadratic loss", 1961, in its positive part). Neighbouring origins share all but one step of
    their horizon, so there are as many independent gains as horizons in the examples.

    Args:
        truth: [N,H], at neighbouring origins, enough of them.
        line: [N,H], the forecast without the correction.
        corrected: [N,H], with all of it.
    """
    without = np.abs(truth - line)
    linear_error, error = float(without.mean()), float(np.abs(truth - corrected).mean())
    blocks = truth.shape[0] / truth.shape[1]
    nothing = Correction(0.0, linear_error, error)

    def gains(share: float) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (without - np.abs(truth - line - share * (corrected - line))).mean(axis=1)
        return found

    best = max(_SHARES, key=lambda share: float(gains(share).mean()))
    gain = float(gains(best).mean())
    if gain <= 0:
        return nothing
    chance = float(gains(best).std()) / np.sqrt(blocks) / gain
    share = best * max(0.0, 1 - chance**2)
    if share < _LEAST:
        return nothing
    return Correction(share, linear_error, error)
