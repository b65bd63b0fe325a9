"""The linear forecasts that are combined."""

import numpy as np
from numpy.typing import NDArray

from training.forecaster.baselines import autoregression
from training.forecaster.linear import LinearMap, Sizes
from training.forecaster.regression import corrected
from training.forecaster.smoothing import smoothing, with_drift

_PENALTIES = (1e-4, 1e-2, 0.3)
_LONGEST_DIFFERENCE = 24  # steps; a longer season would need a window of its own
_MOST_GAIN = 50.0  # what a change of one everywhere in the window may change a forecast by: beyond, it explodes


def experts(values: NDArray[np.float64], sizes: Sizes) -> dict[str, LinearMap]:
    """Fits them.

    Args:
        values: float64 [N], normalised.
        sizes: of the task; at least two windows must fit.

    Returns:
        By name; what the series is too short for, and what explodes, is left out.
    """
    level = smoothing(values, sizes, trend=False)
    found = {
        "exponential smoothing": smoothing(values, sizes, trend=True),
        "level and drift": with_drift(level, values, sizes.period),
        **_autoregressions(values, sizes),
    }
    if 1 < sizes.period <= sizes.window:
        found["last season"] = _last_season(sizes)
    found = {name: one for name, one in found.items() if _is_tame(one)}
    middle = LinearMap.mean(found, dict.fromkeys(found, np.ones(sizes.horizon)))
    if len(values) >= sizes.window + 3 * sizes.horizon:
        regressions = {f"regression ({each:g})": corrected(middle, values, sizes, penalty=each) for each in _PENALTIES}
        found |= {name: one for name, one in regressions.items() if _is_tame(one)}
    return found


def _autoregressions(values: NDArray[np.float64], sizes: Sizes) -> dict[str, LinearMap]:
    """Of the values, of their changes with and without drift, and of the changes since last season."""
    step, season = np.array([1.0, -1.0]), np.zeros(sizes.period + 1)
    season[0], season[-1] = 1, -1
    wanted = {
        "autoregression": (np.ones(1), True),
        "autoregression of changes": (step, False),
        "autoregression of changes, with drift": (step, True),
    }
    if 1 < sizes.period <= _LONGEST_DIFFERENCE:
        wanted["autoregression of changes since last season"] = (season, True)
        wanted["autoregression of changes of these"] = (np.convolve(season, step), False)
    found = {}
    for name, (difference, drift) in wanted.items():
        most = sizes.window - len(difference) + 1
        if most >= 1 and len(values) >= len(difference) + 8:
            model = autoregression(values, period=sizes.period, most=most, difference=difference, constant=drift)
            found[name] = LinearMap.of(model, sizes)
    return found


def _last_season(sizes: Sizes) -> LinearMap:
    kernel = np.zeros((sizes.window, sizes.horizon))
    steps = np.arange(sizes.horizon)
    kernel[steps % sizes.period - sizes.period, steps] = 1
    return LinearMap(kernel, np.zeros(sizes.horizon))


def _is_tame(found: LinearMap) -> bool:
    finite = np.isfinite(found.kernel).all() and np.isfinite(found.bias).all()
    return bool(finite and np.abs(found.kernel).sum(axis=0).max() < _MOST_GAIN)
