"""Chooses the power that makes a series easiest to forecast, on the validation part."""

import numpy as np
from numpy.typing import NDArray

from training.forecaster.baselines import autoregression
from training.forecaster.scaling import Scaling
from training.forecaster.split import Boundaries, futures

_POWERS = (1.0, 3 / 4, 2 / 3, 1 / 2)


def best_power(target: NDArray[np.float64], bounds: Boundaries, *, window: int, horizon: int, period: int) -> float:
    """Returns the power whose autoregression forecasts the validation part best, fitted on what lies before it.

    Powers below 1 steady counts, whose swings grow with their level (Box and Cox, "An analysis of transformations",
    1964). The validation part decides, so that the choice is made for what is forecast, and without the test part.

    Args:
        target: [N], the series; only what lies before the test part is looked at.
        bounds: its parts.
        window: the most past values the autoregression may see.
        horizon: steps to forecast.
        period: steps in a season.

    Returns:
        The power; 1 for a series with negative values.
    """
    if target[: bounds.test_start].min() < 0:
        return 1.0
    origins = range(bounds.validation_start, bounds.test_start - horizon + 1)
    truth = futures(target, origins, horizon)

    def error(power: float) -> float:
        scaling = Scaling.fitted(target[: bounds.validation_start, np.newaxis], power=power)
        past = scaling.normalised(target[: bounds.test_start, np.newaxis])[:, 0]
        model = autoregression(past[: bounds.validation_start], period=period, most=window)
        forecast = np.stack([model.forecast(past[:origin], horizon) for origin in origins])
        return float(np.abs(scaling.restored(forecast) - truth).mean())

    return min(_POWERS, key=error)
