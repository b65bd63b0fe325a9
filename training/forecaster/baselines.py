"""Baselines that a network must beat: the last value, the last season, and a linear autoregression."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from statsmodels.tools.sm_exceptions import SingularMatrixWarning
from statsmodels.tsa.ar_model import AutoReg

_FEWEST_LAGS = 12  # the orders tried go at least this far
_AS_THEY_ARE = np.ones(1)
_ROUNDING = 1e-12  # of the squares: less is left by chance of rounding


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


def autoregression(
    values: NDArray[np.float64],
    *,
    period: int,
    most: int,
    difference: NDArray[np.float64] = _AS_THEY_ARE,
    constant: bool = True,
) -> Autoregression:
    """Fits an autoregression by least squares; its order is the one with the least AIC.

    Args:
        values: float64 [N], without the test part.
        period: steps in a season; orders a little past it are tried.
        most: the highest order allowed, of the differences.
        difference: [D], the weights of a value and those before it, whose sums are what is fitted: (1, -1) for
            changes. The result forecasts the values all the same, and sees D - 1 more of them than its order.
        constant: fit a constant, which is a drift where changes are fitted.
    """
    fitted = np.convolve(values, difference, "valid")
    highest = min(max(_FEWEST_LAGS, period + 1), most, len(fitted) // 4)
    order = _order(fitted, highest, constant=constant)
    if not order and not constant:
        return Autoregression(0.0, -difference[1:])
    with warnings.catch_warnings():
        # Of several weights that fit a series without noise equally well, the smallest are right.
        warnings.simplefilter("ignore", SingularMatrixWarning)
        found = np.asarray(AutoReg(fitted, order, trend="c" if constant else "n").fit().params, np.float64)
    level, weights = (float(found[0]), found[1:]) if constant else (0.0, found)
    return Autoregression(level, -np.convolve(difference, [1.0, *-weights])[1:])


def _order(values: NDArray[np.float64], highest: int, *, constant: bool) -> int:
    """The order with the least AIC: what `statsmodels`' ar_select_order finds, by one factorisation instead of many."""
    if highest < 1:
        return 0
    rows = sliding_window_view(values, highest + 1)[:, ::-1]
    truth, seen = rows[:, 0], rows[:, 1:]
    if constant:
        seen = np.column_stack([np.ones(len(seen)), seen])
    explained = np.cumsum((np.linalg.qr(seen).Q.T @ truth) ** 2)
    left = truth @ truth - explained
    if not constant:
        left = np.concatenate([[truth @ truth], left])
    left = np.maximum(left, _ROUNDING * (truth @ truth) + np.finfo(float).tiny)
    return int(np.argmin(len(truth) * np.log(left) + 2 * np.arange(len(left))))


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
