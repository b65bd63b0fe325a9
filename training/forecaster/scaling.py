"""Normalises a series for training and restores its units; the same arithmetic in NumPy and in the graph."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scaling:
    """A normalisation fitted without the test part.

    Attributes:
        power: to which the forecast column is raised first; 1, or less for a column without negative values.
        mean: float64 [F], of the columns, after the power.
        deviation: float64 [F], their standard deviation, above 0.
        non_negative: the forecast column has no negative value, so no forecast is negative.
    """

    power: float
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    non_negative: bool

    @classmethod
    def fitted(cls, values: NDArray[np.float64], *, power: float = 1.0) -> Self:
        """Fits the transformation.

        Args:
            values: float64 [N,F], without the test part; the first column is the one forecast.
            power: for the forecast column.
        """
        raised = _raised(values, power)
        deviation = raised.std(axis=0)
        non_negative = bool(values[:, 0].min() >= 0)
        return cls(power, raised.mean(axis=0), np.where(deviation > 0, deviation, 1.0), non_negative)

    def normalised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transforms values, [...,F]."""
        return (_raised(values, self.power) - self.mean) / self.deviation

    def restored(self, normalised: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the forecast column, of any shape, to its own units."""
        values = normalised * self.deviation[0] + self.mean[0]
        floored: NDArray[np.float64] = np.maximum(values, 0.0) if self.non_negative else values
        return floored if self.power == 1 else np.power(floored, 1 / self.power)

    def normalised_in_graph(self, values: Any) -> Any:
        """Transforms a float32 tensor, [...,F]; a negative value of a column that never had one counts as zero."""
        if self.power != 1:
            raised = tf.pow(tf.maximum(values[..., :1], 0.0), self.power)
            values = tf.concat([raised, values[..., 1:]], axis=-1)
        return (values - self.mean.astype(np.float32)) / self.deviation.astype(np.float32)

    def restored_in_graph(self, normalised: Any) -> Any:
        """Returns the forecast column, a float32 tensor of any shape, to its own units."""
        values = normalised * np.float32(self.deviation[0]) + np.float32(self.mean[0])
        floored = tf.maximum(values, 0.0) if self.non_negative else values
        return floored if self.power == 1 else tf.pow(floored, 1 / self.power)


def _raised(values: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    if power == 1:
        return values
    first = np.maximum(values[..., :1], 0.0) ** power
    return np.concatenate([first, values[..., 1:]], axis=-1)
