"""The batches that a network is trained on, each of which follows from the seed and its number alone."""

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.classifier.augmentation import augmented
from training.classifier.split import Part

_MOST_WEIGHT = 10.0  # of an image; a class that is rarer still stays behind


def class_weights(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """What an image of each class weighs, float32 [K], so that all classes weigh the same, as the quality gate has it.

    The mean over the images is 1, but for weights above 10, which are 10.
    """
    counts = np.bincount(labels)
    weights: NDArray[np.float32] = np.minimum(len(labels) / (len(counts) * counts), _MOST_WEIGHT).astype(np.float32)
    return weights


def training_batches(part: Part, size: int, *, first: int, count: int, seed: int, mirrored: bool) -> tf.data.Dataset:
    """Batches of images that are each changed a little.

    The images lie decoded in memory, a byte for each value. They are taken in one order after another, each of which
    has all of them, and batches go on from one to the next.

    Args:
        part: at least as many images as a batch has.
        size: of a batch.
        first: the number of the first batch, counted from 0.
        count: how many batches there are.
        seed: with it, a batch's number says all of the batch.
        mirrored: images may be mirrored.

    Returns:
        Batches of images float32 [size,H,W,C], raw pixels 0 to 255, labels int64 [size], weights float32 [size].
    """
    weights = class_weights(part.labels)[part.labels]
    with tf.device("/CPU:0"):  # where batches are made
        images, labels, weights = (tf.constant(array) for array in (part.images, part.labels, weights))
        run = tf.constant(seed % 2**31, tf.int32)

    def batch(number: Any) -> tuple[Any, Any, Any]:
        places = number * size + tf.range(size, dtype=tf.int64)
        order = tf.cast(places // len(part), tf.int32)
        seeds = tf.stack([tf.fill([size], run), order, tf.zeros_like(order)], axis=1)
        last = tf.constant(len(part) - 1, tf.int64)
        # that of tf.random.experimental takes one seed for all
        rows = tf.raw_ops.RandomIndexShuffle(index=places % len(part), seed=seeds, max_index=last, rounds=4)
        chosen = tf.cast(tf.gather(images, rows), tf.float32)
        changed = augmented(chosen, tf.stack([run, tf.cast(number, tf.int32) * 4]), mirrored=mirrored)
        return changed, tf.gather(labels, rows), tf.gather(weights, rows)

    numbers = tf.data.Dataset.range(first, first + count)
    return numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)
