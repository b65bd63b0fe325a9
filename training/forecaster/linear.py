"""Forecasts that are linear in a window of the past: a matrix, and a constant for each step of the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from training.forecaster.baselines import Autoregression


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a forecasting task.

    Attributes:
        window: past steps that a forecast sees.
        horizon: steps to forecast.
        period: steps in a season; 1 for none.
    """

    window: int
    horizon: int
    period: int

    def windows(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All windows of a series and what followed: float64 [N,window] and [N,horizon]."""
        pasts = sliding_window_view(values, self.window)[: -self.horizon]
        return pasts, sliding_window_view(values[self.window :], self.horizon)


@dataclass(frozen=True, slots=True)
class LinearMap:
    """A linear forecast.

    Attributes:
        kernel: float64 [window,H], how each step of the horizon follows from the window, oldest first.
        bias: float64 [H].
    """

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def of(cls, model: Autoregression, sizes: Sizes) -> Self:
        """Unrolls an autoregression: its forecast of zeros is the bias, what each value adds to it the kernel."""
        bias = model.forecast(np.zeros(sizes.window), sizes.horizon)
        return cls(model.forecast(np.eye(sizes.window), sizes.horizon) - bias, bias)

    @classmethod
    def mean(cls, maps: Mapping[str, Self], weights: Mapping[str, NDArray[np.float64]]) -> Self:
        """The mean of maps by weights, float64 [H] each, which need not add up to one."""
        whole = np.sum([weights[name] for name in maps], axis=0)
        kernel = np.sum([weights[name] / whole * found.kernel for name, found in maps.items()], axis=0)
        bias = np.sum([weights[name] / whole * found.bias for name, found in maps.items()], axis=0)
        return cls(kernel, bias)

    def forecast(self, pasts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecasts from [N,window]: float64 [N,H]."""
        return pasts @ self.kernel + self.bias
