"""Forecasters: from raw history to raw forecasts, the scaling included. What is exported is exactly this."""

from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.forecaster.model import LINE, MEDIAN
from training.forecaster.scaling import Scaling


class Forecaster(Protocol):
    """A trained forecaster."""

    @property
    def network(self) -> keras.Model:
        """The network inside."""

    @property
    def scaling(self) -> Scaling:
        """The scaling around it."""

    def __call__(self, history: Any) -> tuple[Any, Any]:
        """Forecasts.

        Args:
            history: float32 [N,window,F], raw units, oldest first.

        Returns:
            The forecast, float32 [N,H], and its quantiles, float32 [N,H,Q], in the order of `LEVELS`.
        """


@dataclass(frozen=True, slots=True)
class QuantileForecaster:
    """Forecasts the whole horizon at once; the forecast is the median.

    Attributes:
        network: from normalised history to the linear forecast [N,H], or corrected by every member [N,members,H].
        scaling: of the series.
        offsets: float64 [H,Q], normalised, what lies between the median and each quantile; ascending.
        share: from 0 to 1, how much of the members' correction is taken; at 0 the network has none.
    """

    network: keras.Model
    scaling: Scaling
    offsets: NDArray[np.float64]
    share: float

    def __call__(self, history: Any) -> tuple[Any, Any]:
        """Forecasts; see `Forecaster`."""
        normalised = self.scaling.normalised_in_graph(history)
        median = self._line(normalised)
        if self.share:
            corrected = tf.reduce_mean(self.network(normalised, training=False), axis=1)
            median += self.share * (corrected - median)
        quantiles = self.scaling.restored_in_graph(median[..., tf.newaxis] + tf.constant(self.offsets, tf.float32))
        return quantiles[..., MEDIAN], quantiles

    def linear(self, history: Any) -> Any:
        """Forecasts by the linear map alone that the members correct: float32 [N,H]."""
        return self.scaling.restored_in_graph(self._line(self.scaling.normalised_in_graph(history)))

    def _line(self, normalised: Any) -> Any:
        return self.network.get_layer(LINE)(normalised[:, :, 0])


@dataclass(frozen=True, slots=True)
class PlainForecaster:
    """Forecasts one step, takes it for the truth, and forecasts the next.

    Attributes:
        network: from normalised history [N,window,1] to the next value [N,1].
        scaling: of the series.
        residuals: float64 [H,Q], per step the quantiles of truth minus forecast on the validation part.
    """

    network: keras.Model
    scaling: Scaling
    residuals: NDArray[np.float64]

    def __call__(self, history: Any) -> tuple[Any, Any]:
        """Forecasts; see `Forecaster`."""
        window = self.scaling.normalised_in_graph(history)
        steps = []
        for _ in range(len(self.residuals)):
            following = self.network(window, training=False)
            window = tf.concat([window[:, 1:], following[:, tf.newaxis]], axis=1)
            steps.append(following[:, 0])
        forecast = self.scaling.restored_in_graph(tf.stack(steps, axis=1))
        quantiles = forecast[..., tf.newaxis] + tf.constant(self.residuals, tf.float32)
        return forecast, tf.maximum(quantiles, 0.0) if self.scaling.non_negative else quantiles


def predict(forecaster: Forecaster, histories: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Forecasts many histories at once: float32 [N,H] and [N,H,Q]."""
    forecast, quantiles = forecaster(tf.constant(histories))
    return forecast.numpy(), quantiles.numpy()
