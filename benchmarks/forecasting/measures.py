"""How far forecasts are off, in units that compare series."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.forecasting.folder import Series

LEVELS = np.array([0.025, 0.1, 0.5, 0.9, 0.975])


@dataclass(frozen=True, slots=True)
class Measures:
    """The errors of one forecaster on one series, or their mean.

    Attributes:
        mase: mean absolute error, in units of that of the last season repeated, before the first origin (Hyndman and
            Koehler, "Another look at measures of forecast accuracy", 2006).
        rmsse: likewise of squared errors, and the root (Makridakis, Spiliotis and Assimakopoulos, "M5 accuracy
            competition", 2022).
        pinball: the quantile loss, averaged over levels, in the units of `mase`.
        inside_80: share of the true values inside the 80 % interval.
        inside_95: likewise.
    """

    mase: float
    rmsse: float
    pinball: float
    inside_80: float
    inside_95: float

    def as_array(self) -> NDArray[np.float64]:
        """The figures in their order."""
        return np.array([self.mase, self.rmsse, self.pinball, self.inside_80, self.inside_95])


def measure(series: Series, quantiles: NDArray[np.float64]) -> Measures:
    """Measures forecasts, float64 [O,H,Q]."""
    truth = sliding_window_view(series.values, quantiles.shape[1])[series.origins]
    before = series.values[: series.origins[0]]
    changes = before[series.period :] - before[: -series.period]
    scale = np.abs(changes).mean()
    distance = truth[..., np.newaxis] - quantiles
    errors = distance[..., 2]
    lost = np.maximum(LEVELS * distance, (LEVELS - 1) * distance)
    inside = [(quantiles[..., low] <= truth) & (truth <= quantiles[..., 4 - low]) for low in (1, 0)]
    return Measures(
        mase=float(np.abs(errors).mean() / scale),
        rmsse=float(np.sqrt((errors**2).mean() / (changes**2).mean())),
        pinball=float(lost.mean() / scale),
        inside_80=float(inside[0].mean()),
        inside_95=float(inside[1].mean()),
    )


def mean_of(found: list[Measures]) -> Measures:
    """The mean of each figure."""
    return Measures(*np.mean([one.as_array() for one in found], axis=0).tolist())
