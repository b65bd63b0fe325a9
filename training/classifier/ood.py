"""How far an image is from all that a classifier was trained on: a score by which clients can refuse it.

The score is the Mahalanobis distance of the network's features to the nearest class (Lee et al., "A Simple Unified
Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks", 2018): a mean for each class, one
covariance for all.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

REFUSED = 0.01
"""The share of the images that the unit is measured on, of the known kind, that have a score above 1."""


class ClassDistance(keras.layers.Layer):  # type: ignore[misc]
    """From features float32 [N,D] to the distance to the nearest of K classes, float32 [N].

    Args:
        centre: float64 [D], what is subtracted from features first.
        directions: float64 [D,D], by which they are multiplied then.
        means: float64 [K,D], where the classes lie after that.
    """

    def __init__(
        self, centre: NDArray[np.float64], directions: NDArray[np.float64], means: NDArray[np.float64]
    ) -> None:
        # The lengths of what lies far from the centre cancel out nearly: float32 would leave chance of the distance.
        super().__init__(name="ood_score", trainable=False, dtype="float64")
        self._centre = self._constant("centre", centre)
        self._directions = self._constant("directions", directions)
        self._means = self._constant("means", means)

    def _constant(self, name: str, value: NDArray[np.float64]) -> Any:
        weight = self.add_weight(shape=value.shape, initializer="zeros", trainable=False, name=name)
        weight.assign(value)
        return weight

    def call(self, features: Any) -> Any:
        """Measures the distances; by the squares of the lengths, as differences [N,K,D] would take much memory."""
        placed = tf.matmul(features - self._centre, self._directions)
        lengths = tf.reduce_sum(placed**2, axis=1, keepdims=True) + tf.reduce_sum(self._means**2, axis=1)
        squares = lengths - 2 * tf.matmul(placed, self._means, transpose_b=True)
        return tf.cast(tf.sqrt(tf.maximum(tf.reduce_min(squares, axis=1), 0.0)), tf.float32)


def class_distance(
    features: NDArray[np.float32], labels: NDArray[np.int64], *, unseen: NDArray[np.float32]
) -> ClassDistance:
    """Measures where the classes are.

    Args:
        features: float32 [N,D], of the training part.
        labels: int64 [N], each class at least once.
        unseen: float32 [M,D], of images of the same kind that were not trained on. The unit of the distance is such
            that one in a hundred of them is farther than 1.
    """
    exact = features.astype(np.float64)
    centre = exact.mean(axis=0)
    exact -= centre
    means = np.stack([exact[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    covariance, _ = ledoit_wolf(exact - means[labels], assume_centered=True)
    variances, directions = np.linalg.eigh(covariance)
    whitening = directions / np.sqrt(np.maximum(variances, np.finfo(np.float32).eps * max(variances[-1], 1.0)))
    distances = keras.ops.convert_to_numpy(ClassDistance(centre, whitening, means @ whitening)(unseen))
    unit = float(np.quantile(distances, 1 - REFUSED)) or 1.0
    return ClassDistance(centre, whitening / unit, means @ whitening / unit)
