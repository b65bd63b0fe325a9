"""Writes the series, and the forecasts of statistical models, each fitted on all that lies before an origin.

python statistical.py FOLDER PART
"""

import sys
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from series import HORIZON, LEVELS, Series, load, write
from statsforecast.models import MSTL, AutoARIMA, AutoETS, AutoTheta, SeasonalNaive
from statsmodels.regression.linear_model import OLS

_Forecast = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_Maker = Callable[[Series, int], Any]

_LONG = 150
_LONG_SEASON = 24
_INTERVALS = {"level": [80, 95]}


def _arima(series: Series, length: int) -> Any:
    """AutoARIMA; it approximates where R's does. A season longer than 24, of which fits take hours, MSTL takes out."""
    approximate = length > _LONG or series.period > 12
    if series.period > _LONG_SEASON:
        return MSTL(_seasons(series), trend_forecaster=AutoARIMA(approximation=approximate))
    return AutoARIMA(season_length=series.period, approximation=approximate)


def _mstl(series: Series, _: int) -> Any:
    """What is left without seasons, by AutoETS; without a season that is AutoETS."""
    return MSTL(_seasons(series)) if series.period > 1 else AutoETS(season_length=1)


def _seasons(series: Series) -> list[int]:
    return [period for period in (series.period, series.longer) if period]


_MODELS: Mapping[str, _Maker] = {
    "seasonal naive": lambda series, _: SeasonalNaive(season_length=series.period),
    "AutoETS": lambda series, _: AutoETS(season_length=series.period),
    "AutoTheta": lambda series, _: AutoTheta(season_length=series.period),
    "MSTL": _mstl,
    "AutoARIMA": _arima,
}


def _quantiles(model: Any, past: NDArray[np.float64]) -> NDArray[np.float64]:
    """A model's forecast and the ends of its intervals: [H,Q]."""
    found = model.forecast(y=past, h=HORIZON, **_INTERVALS)
    ends = ("lo-95", "lo-80", "mean", "hi-80", "hi-95")
    return np.stack([np.asarray(found[end], np.float64) for end in ends], axis=1)


def _regression(series: Series, past: NDArray[np.float64]) -> NDArray[np.float64]:
    """A linear model per step of the horizon, by least squares on the last values; quantiles of its errors: [H,Q]."""
    lags = min(max(2 * series.period, 12), len(past) // 4)
    rows = np.lib.stride_tricks.sliding_window_view(past, lags)
    forecasts = []
    for step in range(HORIZON):
        known = rows[: len(rows) - step - 1]
        seen = np.column_stack([np.ones(len(known)), known])
        fitted = OLS(past[lags + step :], seen).fit()
        at = float(fitted.predict(np.concatenate([[1.0], rows[-1]])[np.newaxis])[0])
        forecasts.append(at + np.quantile(fitted.resid, LEVELS))
        forecasts[-1][LEVELS.index(0.5)] = at
    return np.stack(forecasts)


def main(folder: Path, part: str) -> None:
    """Makes what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(load(part), key=lambda series: len(series.values))
    for series in found:
        write(series, folder)
        _save(folder, series, "linear regression", partial(_regression, series))
    for name, make in _MODELS.items():
        for series in found:
            _save(folder, series, name, partial(_forecast, make, series))


def _forecast(make: _Maker, series: Series, past: NDArray[np.float64]) -> NDArray[np.float64]:
    return _quantiles(make(series, len(past)), past)


def _save(folder: Path, series: Series, name: str, forecast: _Forecast) -> None:
    file = folder / f"{series.name}.{name}.npy"
    if file.exists():
        return
    started = time.monotonic()
    np.save(file, np.stack([forecast(series.values[:origin]) for origin in series.origins]))
    sys.stderr.write(f"{series.name}: {name}, {time.monotonic() - started:.1f} s\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(Path(sys.argv[1]), sys.argv[2])
