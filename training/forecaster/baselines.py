"""Baselines that a network must beat: the last value, the last season, and a linear autoregression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.tsa.ar_model import AutoReg, ar_select_order

_FEWEST_LAGS = 12  # the orders tried go at least this far


@dataclass(frozen=True, slots=True)
class Autoregression:
    """A linear autoregression.

    Attributes:
        constant: its constant.
        weights: float64 [P], of the last values, the newest first.
    """

    constant: float
    weights: NDArray[np.float64]

    @property
    def order(self) -> int:
        """How many past values it sees."""
        return len(self.weights)

    def forecast(self, past: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
        """Forecasts step by step, each forecast being the past of the next.

        Args:
            past: [...,T], oldest first, T at least the order.
            horizon: how many steps.

        Returns:
            float64 [...,horizon].
        """
        values = (
            np.asarray(past, np.float64)[..., -self.order :] if self.order else np.asarray(past, np.float64)[..., :0]
        )
        for _ in range(horizon):
            newest_first = values[..., ::-1][..., : self.order]
            values = np.concatenate([values, (self.constant + newest_first @ self.weights)[..., np.newaxis]], axis=-1)
        return values[..., self.order :]


def autoregression(values: NDArray[np.float64], *, period: int, most: int) -> Autoregression:
    """Fits an autoregression by least squares; its order is the one with the least AIC.

    Args:
        values: float64 [N], without the test part.
        period: steps in a season; orders a little past it are tried.
        most: the highest order allowed.
    """
    highest = min(max(_FEWEST_LAGS, period + 1), most, len(values) // 4)
    lags = ar_select_order(values, highest, ic="aic", trend="c").ar_lags
    fitted = AutoReg(values, max(lags) if lags else 0, trend="c").fit()
    return Autoregression(float(fitted.params[0]), np.asarray(fitted.params[1:], np.float64))


def persistence(target: NDArray[np.float64], origins: range, horizon: int) -> NDArray[np.float64]:
    """Repeats the last value before each origin: float64 [origins,horizon]."""
    last = target[np.array(origins) - 1]
    return np.repeat(last[:, np.newaxis], horizon, axis=1)


def seasonal_naive(target: NDArray[np.float64], origins: range, horizon: int, *, period: int) -> NDArray[np.float64]:
    """Repeats the last season before each origin: float64 [origins,horizon]."""
    steps = np.arange(horizon) % period - period
    return target[np.array(origins)[:, np.newaxis] + steps]


def autoregressive(
    model: Autoregression, target: NDArray[np.float64], origins: range, horizon: int
) -> NDArray[np.float64]:
    """The autoregression's forecasts at each origin: float64 [origins,horizon]."""
    return np.stack([model.forecast(target[:origin], horizon) for origin in origins])
