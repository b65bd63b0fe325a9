"""The pictures of a forecaster's report."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from training.forecaster.evaluate import Errors
from training.plotting import BLUE, GREEN, GREY, ORANGE, RED, picture

_COLOURS = (BLUE, GREY, ORANGE, GREEN, RED)
_PAST = 3  # horizons of known past drawn before a forecast


def learning_curves(path: Path, history: Mapping[str, Sequence[float]], best_epoch: int, loss: str) -> None:
    """The loss per epoch, on the training and the validation part."""
    epochs = np.arange(1, len(history["loss"]) + 1)
    with picture(path) as (axes,):
        axes.plot(epochs, history["loss"], color=BLUE, label="training (with its noise and dropout)")
        axes.plot(epochs, history["val_loss"], color=ORANGE, label="validation")
        axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"best: epoch {best_epoch}")
        axes.set(title=f"Loss ({loss})", xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)


def errors_per_step(path: Path, found: Mapping[str, Errors]) -> None:
    """The mean absolute error at each step of the horizon, of the model and of what it is compared with."""
    with picture(path) as (axes,):
        for (name, errors), colour in zip(found.items(), cycle(_COLOURS), strict=False):
            steps = np.arange(1, len(errors.mae) + 1)
            axes.plot(steps, errors.mae, marker="o", markersize=4, color=colour, label=name)
        axes.set(title="Error per step of the horizon (test part)", xlabel="steps ahead", ylabel="mean absolute error")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)


def forecasts(path: Path, target: NDArray[np.float64], origins: Sequence[int], quantiles: NDArray[np.floating]) -> None:
    """Some whole forecasts with their intervals, against what came.

    Args:
        path: the file.
        target: [N], the series.
        origins: up to three indices, each the first of a forecast.
        quantiles: [origins,H,5], the ends of the 95 % and 80 % intervals around the median.
    """
    horizon = quantiles.shape[1]
    with picture(path, width=12, columns=len(origins)) as panels:
        for axes, origin, levels in zip(panels, origins, quantiles, strict=True):
            shown = np.arange(max(origin - _PAST * horizon, 0), min(origin + horizon, len(target)))
            axes.plot(shown, target[shown], color="black", linewidth=1.2, label="truth")
            _band(axes, np.arange(origin, origin + horizon), levels)
            axes.axvline(origin - 0.5, color=GREY, linestyle=":")
            axes.set(title=f"from step {origin}", xlabel="step of the series")
        panels[0].legend(frameon=False, loc="upper left")


def one_step(path: Path, target: NDArray[np.float64], origins: Sequence[int], quantiles: NDArray[np.floating]) -> None:
    """Every forecast one step ahead over the whole test part; quantiles are [origins,5]."""
    with picture(path, width=12) as (axes,):
        steps = np.array(origins)
        _band(axes, steps, quantiles)
        axes.plot(steps, target[steps], color="black", linewidth=1.2, label="truth")
        axes.set(title="One step ahead (test part)", xlabel="step of the series")
        axes.legend(frameon=False, loc="upper left", ncols=4)
        axes.margins(y=0.15)


def _band(axes: Axes, steps: NDArray[np.int64], levels: NDArray[np.floating]) -> None:
    axes.fill_between(steps, levels[:, 0], levels[:, 4], color=BLUE, alpha=0.15, linewidth=0, label="95 % interval")
    axes.fill_between(steps, levels[:, 1], levels[:, 3], color=BLUE, alpha=0.25, linewidth=0, label="80 % interval")
    axes.plot(steps, levels[:, 2], color=BLUE, linewidth=1.6, label="forecast")
