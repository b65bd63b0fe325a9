"""Forecasts with Tensorgate's default recipe, trained once on what lies before the first origin.

python -m benchmarks.forecasting.ours FOLDER SEEDS
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.forecasting.folder import LINEAR, NAME, REFITTED, Series, all_series
from benchmarks.rounds import tell
from series_files.reading import Reading
from training.display import Display
from training.forecaster.combination import combine
from training.forecaster.data import SeriesData
from training.forecaster.fit import Fitted, Task, fit
from training.forecaster.forecast import QuantileForecaster, predict
from training.forecaster.linear import Sizes
from training.forecaster.model import LEVELS
from training.forecaster.scaling import Scaling
from training.forecaster.split import boundaries, histories
from training.forecaster.window import possible_window, usual_window
from training.options import ForecasterOptions
from training.progress import Progress


def forecast(folder: Path, seeds: range) -> None:
    """Makes what is not there yet: the forecasts of each seed, those of its linear part, and what it is made of."""
    horizon = int(np.load(next(folder.glob("*.npy"))).shape[1])
    for series in all_series(folder):
        if not (file := folder / f"{series.name}.{REFITTED}.npy").exists():
            np.save(file, _refitted(series, _task(series, horizon).sizes))
    for seed in seeds:
        for series in sorted(all_series(folder), key=lambda series: len(series.values)):
            file = folder / f"{series.name}.{NAME} {seed}.npy"
            if not file.exists():
                started = time.monotonic()
                task = _task(series, horizon)
                fitted = fit(task, _options(series, horizon, seed), Progress(Display(Console(quiet=True))))
                _save(folder, series, task, fitted, seed)
                tell(f"{series.name}: seed {seed}, {time.monotonic() - started:.1f} s")


def _task(series: Series, horizon: int) -> Task:
    length = len(series.values)
    wanted = usual_window(length, series.period)
    window = possible_window(wanted, length, horizon=horizon, period=series.period)
    data = SeriesData(series.name, series.values[:, np.newaxis], ("value",), series.period, window)
    return Task(data, boundaries(length, window=window, horizon=horizon), window, horizon)


def _options(series: Series, horizon: int, seed: int) -> ForecasterOptions:
    return ForecasterOptions(series.name, Reading(), "quantile", None, horizon, series.period, seed, None)


def _refitted(series: Series, sizes: Sizes) -> NDArray[np.float64]:
    """The linear part fitted at every origin on all that lies before, as statistical models are: quantiles [O,H,Q]."""
    found = []
    for origin in series.origins:
        past = series.values[:origin]
        combination = combine(past, sizes)
        scaling = Scaling.fitted(past[:, np.newaxis], power=combination.power)
        values = scaling.normalised(past[:, np.newaxis])[:, 0]
        median = combination.fitted(values, sizes).forecast(values[-sizes.window :])
        found.append(scaling.restored(median[:, np.newaxis] + combination.offsets(LEVELS)))
    return np.stack(found)


def _save(folder: Path, series: Series, task: Task, fitted: Fitted, seed: int) -> None:
    past = histories(task.data.values, series.origins.tolist(), task.window)
    _, quantiles = predict(fitted.forecaster, past)
    if not isinstance(fitted.forecaster, QuantileForecaster) or fitted.correction is None:
        raise TypeError("expected the quantile preset")
    linear = fitted.forecaster.linear(tf.constant(past)).numpy()[..., np.newaxis]
    np.save(folder / f"{series.name}.{LINEAR} {seed}.npy", np.repeat(linear, quantiles.shape[-1], axis=-1))
    (folder / f"{series.name}.{seed}.json").write_text(json.dumps({"share": fitted.correction.share}))
    np.save(folder / f"{series.name}.{NAME} {seed}.npy", quantiles)


if __name__ == "__main__":
    forecast(Path(sys.argv[1]), range(int(sys.argv[2])))
