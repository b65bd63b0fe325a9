"""Examples in batches, in an order that follows from the seed and the number of the epoch alone."""

from typing import Any

import tensorflow as tf


def shuffled_batches(inputs: Any, targets: Any, *, size: int, epochs: range, seed: int) -> tf.data.Dataset:
    """Batches of one epoch after the other, each with all examples in an order of its own.

    So a training that is gone on with at some epoch meets what it would have met without the interruption.

    Args:
        inputs: [N,...].
        targets: [N,...].
        size: of a batch; the last of an epoch may be smaller. An epoch has `batch_count` of them.
        epochs: which to give.
        seed: decides the orders.
    """
    with tf.device("/CPU:0"):
        examples = tf.constant(inputs), tf.constant(targets)

    def orders(epoch: Any) -> tf.data.Dataset:
        rows = tf.range(len(examples[0]), dtype=tf.int64)
        order = tf.random.experimental.stateless_shuffle(rows, tf.stack([tf.constant(seed, tf.int64), epoch]))
        return tf.data.Dataset.from_tensor_slices(order).batch(size)

    order = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(orders)
    return order.map(lambda rows: tuple(tf.gather(part, rows) for part in examples)).prefetch(1)


def batch_count(examples: int, size: int) -> int:
    """How many batches an epoch has."""
    return -(-examples // size)
