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

    Args:
        values: float64 [N], normalised.
        sizes: of the task.
        trend: allow a trend.
    """
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
    move, see, learn = _state_space(parameters, sizes.period)
    follow = move - np.outer(learn, see)
    size = len(see)
    # The state after each step is `of_first` @ the first state + `of_values` @ the window.
    of_first, of_values = np.eye(size), np.zeros((size, sizes.window))
    seen_first, errors = np.empty((sizes.window, size)), np.empty((sizes.window, sizes.window))
    for step in range(sizes.window):
        seen_first[step] = see @ of_first
        errors[step] = -(see @ of_values)
        errors[step, step] += 1
        of_first, of_values = follow @ of_first, follow @ of_values
        of_values[:, step] += learn
    penalty = np.diag([1e-9, *[_PENALTY] * (size - 1)])
    first = np.linalg.solve(seen_first.T @ seen_first + penalty, seen_first.T @ errors)
    state = of_first @ first + of_values
    forecasts = []
    for _ in range(sizes.horizon):
        forecasts.append(see @ state)
        state = move @ state
    return np.stack(forecasts, axis=1)


def _state_space(parameters: _Parameters, period: int) -> tuple[NDArray[np.float64], ...]:
    """How a state moves on [S,S], how the next value is seen in it [S], and how it learns from an error [S]."""
    share, damping = parameters.trend
    trends = 1 if damping else 0
    seasons = 0 if parameters.season is None else period
    size = 1 + trends + seasons
    move, see, learn = np.zeros((size, size)), np.zeros(size), np.zeros(size)
    move[0, 0], see[0], learn[0] = 1, 1, parameters.level
    if trends:
        move[:2, 1], see[1], learn[1] = damping, damping, share * parameters.level
    if parameters.season is not None:
        newest = 1 + trends
        move[newest:, newest:] = np.roll(np.eye(seasons), 1, axis=0)
        see[-1], learn[newest] = 1, parameters.season * (1 - parameters.level)
    return move, see, learn
