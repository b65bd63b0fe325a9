"""Trains a network."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from training.classifier.batches import training_batches
from training.classifier.split import Part, Parts
from training.convergence import check_converged
from training.device import precision
from training.options import ClassifierOptions
from training.progress import Progress

_BATCH = (8, 64)  # fewest and most
_STEPS = 16  # in an epoch, at least, where that leaves the fewest
_LEARNING_RATE = 2e-3
_WARM_UP = 0.05  # of the steps, in which the learning rate rises; then it falls to nothing
_EPOCHS = (10, 60)  # fewest and most, when the user does not say
_IMAGES_SEEN = 90_000  # in between: about as many images as a small data set needs


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network and how it got there.

    Attributes:
        network: as `build` has made it, in float32, with the weights of the last epoch.
        history: per epoch, `loss`, `accuracy`, `val_loss` and `val_accuracy`.
        seconds: how long that took.
    """

    network: keras.Model
    history: dict[str, list[float]]
    seconds: float


def fit(
    parts: Parts,
    build: Callable[[], keras.Model],
    options: ClassifierOptions,
    *,
    mirrored: bool,
    progress: Progress,
) -> Fitted:
    """Trains a classifier; the test part is not touched, and nothing is decided by the validation part.

    On a GPU that is fast with them, the layers compute in 16-bit numbers; weights and what is returned are of 32 bits.

    Args:
        parts: the split images.
        build: makes the untrained network.
        options: its seed, epochs and learning rate.
        mirrored: images may be mirrored.
        progress: shows the model and its epochs, and keeps them.

    Raises:
        TrainingError: the training diverged.
    """
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(precision())
    try:
        network = build()
    finally:
        keras.config.set_dtype_policy("float32")
    began = time.monotonic()
    history = _trained(network, parts, options, mirrored=mirrored, progress=progress)
    seconds = time.monotonic() - began
    check_converged("loss of the last epoch", history["loss"][-1])
    if network.compute_dtype != "float32":
        exact = build()
        exact.set_weights(network.get_weights())
        network = exact
    return Fitted(network, history, seconds)


def _trained(
    network: keras.Model, parts: Parts, options: ClassifierOptions, *, mirrored: bool, progress: Progress
) -> dict[str, list[float]]:
    """Trains a network in place; returns the figures of each epoch."""
    training = parts.training
    size = min(int(np.clip(len(training) // _STEPS, *_BATCH)), len(training))
    passes = options.epochs or int(np.clip(_IMAGES_SEEN // len(training), *_EPOCHS))
    in_epoch = round(len(training) / size)
    steps = passes * in_epoch
    warm_up = round(_WARM_UP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, steps - warm_up),
        warmup_target=options.learning_rate or _LEARNING_RATE,
        warmup_steps=warm_up,
    )
    model = keras.Model(network.input, network.output["logits"], name=network.name)
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    progress.display.summary(model)
    with progress.epochs("training", model, passes) as course:
        model.fit(
            training_batches(
                training,
                size,
                first=course.first * in_epoch,
                count=(course.end - course.first) * in_epoch,
                seed=options.seed,
                mirrored=mirrored,
            ),
            validation_data=raw_batches(parts.validation),
            initial_epoch=course.first,
            epochs=course.end,
            steps_per_epoch=in_epoch,
            shuffle=False,  # they are already
            verbose=0,
            callbacks=course.callbacks,
        )
    return course.history


def raw_batches(part: Part) -> tf.data.Dataset:
    """All images as they are, float32 [<=512,H,W,C], with their labels, int64."""
    batches = tf.data.Dataset.from_tensor_slices((part.images, part.labels)).batch(512)
    return batches.map(lambda images, labels: (tf.cast(images, tf.float32), labels))
