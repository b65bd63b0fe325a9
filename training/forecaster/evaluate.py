"""Measures forecasts of a series' newest part, made again at every step (a rolling origin)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of one forecaster.

    Attributes:
        mae: float64 [H], per step of the horizon the mean absolute error over the origins whose truth is known there.
        over_horizon: the mean absolute error over the origins whose truth is known for the whole horizon, so that every
            step weighs the same.
        scale: the mean absolute change from one value to the next before the test part.
    """

    mae: NDArray[np.float64]
    over_horizon: float
    scale: float

    @property
    def one_step(self) -> float:
        """The mean absolute error one step ahead."""
        return float(self.mae[0])

    @property
    def mase(self) -> NDArray[np.float64]:
        """Per step, the error in units of the scale.

        Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.
        """
        return self.mae / self.scale

    def as_metrics(self) -> dict[str, object]:
        """The figures for `metrics.json`."""
        return {
            "mae_one_step": self.one_step,
            "mae_over_horizon": self.over_horizon,
            "mase_one_step": self.one_step / self.scale,
            "mase_over_horizon": self.over_horizon / self.scale,
            "mae": self.mae.tolist(),
            "mase": self.mase.tolist(),
        }


def errors(truth: NDArray[np.float64], forecast: NDArray[np.floating], scale: float) -> Errors:
    """Measures forecasts.

    Args:
        truth: [origins,H], NaN where unknown; known for the whole horizon at least once.
        forecast: [origins,H].
        scale: see `naive_scale`.
    """
    distance = np.abs(truth - forecast)
    complete = ~np.isnan(distance).any(axis=1)
    return Errors(np.nanmean(distance, axis=0), float(distance[complete].mean()), scale)


def naive_scale(values: NDArray[np.float64]) -> float:
    """The denominator of MASE: the mean absolute error of repeating the last value, one step ahead.

    Args:
        values: float64 [N], the target before the test part.

    Returns:
        Above zero; for a series that never changes the smallest positive number.
    """
    return float(max(np.abs(np.diff(values)).mean(), np.finfo(float).tiny))


def coverage(truth: NDArray[np.float64], low: NDArray[np.floating], high: NDArray[np.floating]) -> float:
    """The share of known true values that lie inside their interval.

    Args:
        truth: [origins,H], NaN where unknown.
        low: [origins,H].
        high: likewise.
    """
    known = ~np.isnan(truth)
    return float(((truth >= low) & (truth <= high))[known].mean())


def below(truth: NDArray[np.float64], quantiles: NDArray[np.floating], levels: Sequence[float]) -> dict[str, float]:
    """Per level, the share of known true values at or below that quantile; ideally the level.

    Args:
        truth: [origins,H], NaN where unknown.
        quantiles: [origins,H,Q].
        levels: the Q levels.
    """
    known = ~np.isnan(truth)
    return {f"{level:g}": float((truth <= quantiles[..., index])[known].mean()) for index, level in enumerate(levels)}
