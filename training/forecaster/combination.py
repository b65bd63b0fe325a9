"""Chooses how linear forecasts are combined, by what each would have reached on the past."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.stats import norm, t

from training.forecaster.experts import experts
from training.forecaster.linear import LinearMap, Sizes
from training.forecaster.scaling import Scaling

_POWERS = (1.0, 2 / 3, 1 / 2, 1 / 10)
_CLEARLY = 0.99  # of the error without a power, for one to be used
_SHARPNESS = 8  # weights are the errors to the power of minus this
_BLOCKS = 4
_FEWEST_WINDOWS = 8  # in the first fit
_FEWEST_ORIGINS = 4


@dataclass(frozen=True, slots=True)
class Combination:
    """A weighted mean of linear forecasts, and how far it was off.

    Attributes:
        power: of the values that they forecast.
        weights: by name, float64 [H], per step of the horizon; they add up to one.
        residuals: float64 [N,H], truth less forecast at past origins, each made by a fit on what lay before; in the
            units of the scaling that has this power and was fitted on the whole past.
        error: their mean absolute error, in the series' own units.
    """

    power: float
    weights: Mapping[str, NDArray[np.float64]]
    residuals: NDArray[np.float64]
    error: float

    def fitted(self, values: NDArray[np.float64], sizes: Sizes) -> LinearMap:
        """Fits the forecasts on values, float64 [N], normalised with the power, and combines them."""
        found = {name: one for name, one in experts(values, sizes).items() if name in self.weights}
        return LinearMap.mean(found, self.weights)

    def offsets(self, levels: tuple[float, ...]) -> NDArray[np.float64]:
        """Per step of the horizon, the quantiles of the residuals around a median of nothing: float64 [H,Q].

        They are further out by how much further Student's distribution lies out than the normal one, with as many
        degrees of freedom as the past origins are independent: neighbours share all but one step of their horizon.
        """
        freedom = max(len(self.residuals) / self.residuals.shape[1], 1.5)
        middle = np.array(levels) == 0.5
        safe = np.where(middle, 0.9, levels)
        quantiles = np.quantile(self.residuals, levels, axis=0).T * (t.ppf(safe, freedom) / norm.ppf(safe))
        below, above = np.minimum(quantiles, 0), np.maximum(quantiles, 0)
        return np.where(middle, 0.0, np.where(np.array(levels) < 0.5, below, above))


def combine(target: NDArray[np.float64], sizes: Sizes) -> Combination:
    """Chooses power and weights by forecasts from origins in the newer half of a series.

    Powers below 1 steady values whose swings grow with their level (Box and Cox, "An analysis of transformations",
    1964). Forecasts are fitted again at the beginning of each of four blocks, on what lies before it. Each is weighted
    by its error to the power of minus eight: between the equal mean and the best alone.

    Args:
        target: float64 [N], without the test part.
        sizes: of the task.
    """
    powers = _POWERS if target.min() >= 0 else _POWERS[:1]
    found = [_with_power(target, sizes, power) for power in powers]
    return min(found, key=lambda one: one.error * (1 if one.power == 1 else 1 / _CLEARLY))


def _with_power(target: NDArray[np.float64], sizes: Sizes, power: float) -> Combination:
    scaling = Scaling.fitted(target[:, np.newaxis], power=power)
    values = scaling.normalised(target[:, np.newaxis])[:, 0]
    cuts = _cuts(len(values), sizes)
    pasts = sliding_window_view(values, sizes.window)
    forecasts: list[dict[str, NDArray[np.float64]]] = []
    for start, end in pairwise(cuts):
        seen = pasts[start - sizes.window : end - sizes.window]
        fitted = experts(values[:start], sizes)
        forecasts.append({name: one.forecast(seen) for name, one in fitted.items()})
    always = [name for name in forecasts[0] if all(name in block for block in forecasts)]
    by_name = {name: np.concatenate([block[name] for block in forecasts]) for name in always}
    truth = sliding_window_view(target, sizes.horizon)[cuts[0] : cuts[-1]]
    weights = _weights({name: np.abs(scaling.restored(one) - truth).mean(axis=0) for name, one in by_name.items()})
    whole = np.sum([weights[name] * one for name, one in by_name.items()], axis=0)
    residuals = sliding_window_view(values, sizes.horizon)[cuts[0] : cuts[-1]] - whole
    return Combination(power, weights, residuals, _error(scaling, whole, truth))


def _weights(errors: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Weights [H] from errors [H]: at each step half its own error counts, and half that over the whole horizon."""
    both = {name: np.sqrt(error * error.mean()) + np.finfo(float).tiny for name, error in errors.items()}
    least = np.min(list(both.values()), axis=0)
    raw = {name: (least / error) ** _SHARPNESS for name, error in both.items()}
    whole = np.sum(list(raw.values()), axis=0)
    return {name: one / whole for name, one in raw.items()}


def _error(scaling: Scaling, forecast: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    return float(np.abs(scaling.restored(forecast) - truth).mean())


def _cuts(length: int, sizes: Sizes) -> list[int]:
    """Where blocks of origins begin, and where the last ends."""
    last = length - sizes.horizon + 1
    fewest = max(sizes.window + sizes.horizon + _FEWEST_WINDOWS, 2 * sizes.period + _FEWEST_WINDOWS)
    first = min(max(length // 2, fewest), last - _FEWEST_ORIGINS)
    return sorted({int(cut) for cut in np.linspace(first, last, _BLOCKS + 1)})
