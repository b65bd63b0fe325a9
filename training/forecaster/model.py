"""The recurrent networks of both presets. They work on normalised values; scaling is the forecaster's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.forecaster.baselines import Autoregression

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)  # the median, the ends of the 80 % and of the 95 % interval
MEDIAN = LEVELS.index(0.5)

LINE, _SPREAD = "autoregression", "spread"
_MEMBERS = 6
_UNITS = 8
_NOISE = 0.3  # standard deviations of the series, added while training, or the network overfits a short series
_DROPOUT = 0.5
_SMALLEST_GAP = 1e-3  # between quantiles, for a series that is forecast without error


@dataclass(frozen=True, slots=True)
class LinearStart:
    """A linear autoregression written as one matrix, and how far its forecasts are off.

    Attributes:
        kernel: float32 [window,H], how each step of the horizon follows from the window, oldest first; zero for what
            the autoregression does not see.
        bias: float32 [H].
        gaps: float32 [H,Q-1], above 0: per step, the distances between neighbouring quantiles of its errors.
    """

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    gaps: NDArray[np.float32]

    @classmethod
    def of(cls, model: Autoregression, histories: NDArray[np.float32], truth: NDArray[np.float32]) -> Self:
        """Unrolls an autoregression: its forecast of zeros is the bias, what each value adds to it the kernel.

        Args:
            model: the autoregression.
            histories: [N,window], without the test part.
            truth: [N,H], what followed.
        """
        window, horizon = histories.shape[1], truth.shape[1]
        bias = model.forecast(np.zeros(window), horizon)
        kernel = model.forecast(np.eye(window), horizon) - bias
        errors = np.quantile(truth - model.forecast(histories.astype(np.float64), horizon), LEVELS, axis=0)
        gaps = np.maximum(np.diff(errors, axis=0).T, _SMALLEST_GAP)
        return cls(kernel.astype(np.float32), bias.astype(np.float32), gaps.astype(np.float32))


def build_plain(window: int) -> keras.Model:
    """The plain network: from float32 [N,window,1] to the next value, float32 [N,1]."""
    history = keras.Input((window, 1), name="history")
    signal = keras.layers.LSTM(50, activation="relu")(history)
    return keras.Model(history, keras.layers.Dense(1)(signal), name="plain")


def build_quantile(window: int, features: int, horizon: int, *, start: LinearStart, fused: bool) -> keras.Model:
    """The network that forecasts the whole horizon at once.

    A linear autoregression, whose weights are fixed, and a small ensemble of LSTMs that are trained side by side to
    correct it: each adds to its forecast, and puts the other quantiles around the result at distances that are summed
    up, so that quantiles cannot cross.

    Args:
        window: steps of the past.
        features: columns of the past, the first being the one forecast.
        horizon: steps to forecast.
        start: an autoregression fitted on the normalised series, and how far it is off.
        fused: let a GPU use its fused kernel; a network that is exported must run without one.

    Returns:
        A model from float32 [N,window,features] to float32 [N,members,horizon,quantiles].
    """
    history = keras.Input((window, features), name="history")
    line = keras.layers.Dense(horizon, trainable=False, name=LINE)(history[:, :, 0])
    corrections = [_member(index, history.shape[1:], horizon, fused)(history) for index in range(_MEMBERS)]
    network = keras.Model(history, line[:, None, :, None] + ops.stack(corrections, axis=1), name="quantile")
    set_start(network, start)
    return network


def set_start(network: keras.Model, start: LinearStart) -> None:
    """Gives a network another autoregression to correct, and intervals to begin with."""
    network.get_layer(LINE).set_weights([start.kernel, start.bias])
    before_softplus = np.log(np.expm1(start.gaps)).reshape(-1)
    for index in range(_MEMBERS):
        spread = network.get_layer(_member_name(index)).get_layer(_SPREAD)
        spread.set_weights([spread.get_weights()[0], before_softplus])


def _member_name(index: int) -> str:
    return f"member_{index}"


def _member(index: int, shape: tuple[int, int], horizon: int, fused: bool) -> keras.Model:
    """One LSTM: from the history to its quantiles as distances from the autoregression, [N,horizon,quantiles]."""
    history = keras.Input(shape)
    noisy = keras.layers.GaussianNoise(_NOISE)(history)
    memory = keras.layers.LSTM(_UNITS, use_cudnn="auto" if fused else False)(noisy)
    memory = keras.layers.Dropout(_DROPOUT)(memory)
    small = keras.initializers.RandomNormal(stddev=0.01)
    median = keras.layers.Dense(horizon, kernel_initializer=small)(memory)
    gaps = len(LEVELS) - 1
    spread = keras.layers.Dense(horizon * gaps, kernel_initializer=small, name=_SPREAD)(memory)
    steps = ops.softplus(keras.layers.Reshape((horizon, gaps))(spread))
    return keras.Model(history, _around(median, [steps[..., gap] for gap in range(gaps)]), name=_member_name(index))


def _around(median: keras.KerasTensor, steps: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    """Quantiles at positive distances below and above the median, each further out than the last."""
    quantiles = [median]
    for step in reversed(steps[:MEDIAN]):
        quantiles.insert(0, quantiles[0] - step)
    for step in steps[MEDIAN:]:
        quantiles.append(quantiles[-1] + step)
    return ops.stack(quantiles, axis=-1)
