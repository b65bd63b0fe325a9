"""Exponential smoothing as a linear map of a window.

Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing", 2008: a state of level, damped trend and
seasons follows the series by its errors. For given parameters the forecast is linear in the values, and so is the
state before the window, which is the one that leaves the least squared error within it.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.forecaster.linear import LinearMap, Sizes

_LEVELS = (0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0)
_TRENDS = ((0.0, 0.0), (0.1, 0.9), (0.3, 0.9), (0.1, 0.98), (0.3, 0.98), (0.6, 0.98))
_SEASONS = (0.0, 0.1, 0.3, 0.6)
_MOST_WINDOWS = 300  # that parameters are chosen by
_FEWEST_STEPS = 32  # and three seasons, that are smoothed over: what lies before adds next to nothing
_LONGEST_SEASON = 1440  # steps, a day of minutes: the time grows with the third power, the memory with the second
_ROUNDS = 3
_PENALTY = 1e-3  # on the first trend and seasons, which a short window leaves open


@dataclass(frozen=True, slots=True)
class _Parameters:
    """How fast the state follows the series.

    Attributes:
        level: share of an error that goes into the level.
        trend: share of that which goes into the trend; and how much of the trend is left after a step. (0, 0): none.
        season: share of the rest that goes into the season; None for no seasons.
    """

    level: float
    trend: tuple[float, float]
    season: float | None


def smoothing(values: NDArray[np.float64], sizes: Sizes, *, trend: bool) -> LinearMap:
    """Chooses the parameters that forecast the whole horizon with the least absolute error, one after the other.

    Seasons of more than 1440 steps are left to other forecasts.

    Args:
        values: float64 [N], normalised.
        sizes: of the task.
        trend: allow a trend.
    """
    if sizes.period > _LONGEST_SEASON:
        sizes = replace(sizes, period=1)
    pasts, following = sizes.windows(values)
    some = np.unique(np.linspace(0, len(pasts) - 1, _MOST_WINDOWS).astype(int))
    pasts, following = pasts[some], following[some]
    steps = min(sizes.window, max(3 * sizes.period + 4, _FEWEST_STEPS))

    def error(parameters: _Parameters) -> float:
        kernel = _kernel(parameters, replace(sizes, window=steps))
        return float(np.abs(following - pasts[:, -steps:] @ kernel).mean())

    seasonal = sizes.period > 1
    options: dict[str, tuple[Any, ...]] = {"level": _LEVELS}
    options |= {"trend": _TRENDS} if trend else {}
    options |= {"season": _SEASONS} if seasonal else {}
    best = _Parameters(level=0.5, trend=_TRENDS[0], season=0.1 if seasonal else None)
    for _ in range(_ROUNDS):
        before = best
        for name, choices in options.items():
            best = min([best, *(replace(best, **{name: choice}) for choice in choices)], key=error)
        if best == before:
            break
    kernel = np.zeros((sizes.window, sizes.horizon))
    kernel[-steps:] = _kernel(best, replace(sizes, window=steps))
    return LinearMap(kernel, np.zeros(sizes.horizon))


def with_drift(level: LinearMap, values: NDArray[np.float64], period: int) -> LinearMap:
    """Adds the mean change of the series per step, measured from season to season, to a map that has no trend."""
    span = min(period, len(values) - 1)
    drift = float((values[span:] - values[:-span]).mean()) / span
    return LinearMap(level.kernel, level.bias + drift * np.arange(1, len(level.bias) + 1))


@lru_cache(maxsize=1024)
def _kernel(parameters: _Parameters, sizes: Sizes) -> NDArray[np.float64]:
    """The forecast as a matrix, float64 [window,H]."""
    (share, damping), seasons = parameters.trend, 0 if parameters.season is None else sizes.period
    size = 2 + seasons
    # Each row is a part of the state, as a linear map of the first state and of the window: level, trend, seasons.
    state = np.eye(size, size + sizes.window)
    seen = np.empty((sizes.window + sizes.horizon, size + sizes.window))
    for step, now in enumerate(seen):
        # The seasons stay where they are, and the one of the step goes round: moving them would take its time.
        season = size - 1 - step % seasons if seasons else None
        state[1] *= damping
        state[0] += state[1]
        now[:] = state[0] if season is None else state[0] + state[season]
        if step < sizes.window:
            error = -now
            error[size + step] += 1
            state[0] += parameters.level * error
            state[1] += share * parameters.level * error
            if season is not None:
                state[season] += (parameters.season or 0) * (1 - parameters.level) * error
    of_first, of_values = seen[:, :size], seen[:, size:]
    past, errors = of_first[: sizes.window], np.eye(sizes.window) - of_values[: sizes.window]
    penalty = np.diag([1e-9, *[_PENALTY] * (size - 1)])
    # The first state is found only as far as the forecasts see it, which spares a solution for each step of the window.
    through_first = np.linalg.solve(past.T @ past + penalty, of_first[sizes.window :].T)
    return (of_values[sizes.window :] + (past @ through_first).T @ errors).T
