"""The recurrent networks of both presets. They work on normalised values; scaling is the forecaster's."""

import keras
import numpy as np
from keras import ops

from training.forecaster.linear import LinearMap

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)  # the median, the ends of the 80 % and of the 95 % interval
MEDIAN = LEVELS.index(0.5)

LINE = "linear"
_MEMBERS = 3
_UNITS = 16
_MOST_STEPS = 48  # that the LSTMs see: what lies before is the linear map's
_NOISE = 0.1  # standard deviations of the series, added while training, or the network overfits a short series
_DROPOUT = 0.3


def build_plain(window: int) -> keras.Model:
    """The plain network: from float32 [N,window,1] to the next value, float32 [N,1]."""
    history = keras.Input((window, 1), name="history")
    signal = keras.layers.LSTM(50, activation="relu")(history)
    return keras.Model(history, keras.layers.Dense(1)(signal), name="plain")


def build_linear(window: int, features: int, *, start: LinearMap) -> keras.Model:
    """A linear map of the first column as a network: from float32 [N,window,features] to [N,horizon]."""
    history = keras.Input((window, features), name="history")
    network = keras.Model(history, _line(history, start), name="linear")
    set_start(network, start)
    return network


def build_corrected(window: int, features: int, *, start: LinearMap, fused: bool) -> keras.Model:
    """A linear map, whose weights are fixed, and a small ensemble of LSTMs that learn side by side to correct it.

    Args:
        window: steps of the past.
        features: columns of the past, the first being the one forecast.
        start: the linear map, of normalised values.
        fused: let a GPU use its fused kernel; a network that is exported must run without one.

    Returns:
        A model from float32 [N,window,features] to the forecast of each, float32 [N,members,horizon].
    """
    history = keras.Input((window, features), name="history")
    line = _line(history, start)
    horizon = len(start.bias)
    corrections = [_member(index, history.shape[1:], horizon, fused)(history) for index in range(_MEMBERS)]
    network = keras.Model(history, line[:, None, :] + ops.stack(corrections, axis=1), name="corrected")
    set_start(network, start)
    return network


def set_start(network: keras.Model, start: LinearMap) -> None:
    """Gives a network another linear map."""
    network.get_layer(LINE).set_weights([start.kernel.astype(np.float32), start.bias.astype(np.float32)])


def _line(history: keras.KerasTensor, start: LinearMap) -> keras.KerasTensor:
    return keras.layers.Dense(len(start.bias), trainable=False, name=LINE)(history[:, :, 0])


def _member(index: int, shape: tuple[int, int], horizon: int, fused: bool) -> keras.Model:
    """One LSTM: from the history to what it adds, [N,horizon]. It begins near nothing.

    It sees the values, and how far they lie from the window's mean, which stays in range when a series drifts.
    """
    history = keras.Input(shape)
    recent = history[:, -_MOST_STEPS:, :]
    seen = ops.concatenate([recent, recent - ops.mean(history, axis=1, keepdims=True)], axis=-1)
    noisy = keras.layers.GaussianNoise(_NOISE)(seen)
    memory = keras.layers.LSTM(_UNITS, use_cudnn="auto" if fused else False)(noisy)
    memory = keras.layers.Dropout(_DROPOUT)(memory)
    small = keras.initializers.RandomNormal(stddev=0.01)
    added = keras.layers.Dense(horizon, kernel_initializer=small)(memory)
    return keras.Model(history, added, name=f"member_{index}")
