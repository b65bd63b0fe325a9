"""Trains the network, stopping when the validation part no longer gains."""

from dataclasses import dataclass

import keras
import numpy as np

from training.batches import batch_count, shuffled_batches
from training.classifier.model import build
from training.classifier.split import Parts
from training.options import ClassifierOptions
from training.progress import Progress

_BATCH = 64
_LEARNING_RATE = 2e-3
_PATIENCE = 25  # the validation part of a small data set is small too, and its loss uneven
_EPOCHS = (10, 60)  # fewest and most, when the user does not say
_IMAGES_SEEN = 90_000  # in between: about as many images as a small data set needs


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained model and how it got there.

    Attributes:
        model: with the weights of its best epoch.
        history: per epoch, `loss`, `accuracy`, `val_loss` and `val_accuracy`.
        best_epoch: counted from 1.
    """

    model: keras.Model
    history: dict[str, list[float]]
    best_epoch: int


def fit(parts: Parts, classes: int, options: ClassifierOptions, *, mirrored: bool, progress: Progress) -> Fitted:
    """Trains a classifier; the test part is not touched.

    Args:
        parts: the split images.
        classes: how many there are.
        options: its seed, epochs and learning rate.
        mirrored: images may be mirrored.
        progress: shows the model and its epochs, and keeps them.
    """
    keras.utils.set_random_seed(options.seed)
    training = parts.training
    model = build(
        training.images.shape[1:],
        classes,
        mean=float(training.images.mean()),
        deviation=float(training.images.std()) or 1.0,
        mirrored=mirrored,
    )
    most = options.epochs or int(np.clip(_IMAGES_SEEN // len(training), *_EPOCHS))
    in_epoch = batch_count(len(training), _BATCH)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(options.learning_rate or _LEARNING_RATE, most * in_epoch),
            weight_decay=1e-3,
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    progress.display.summary(model)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=_PATIENCE, restore_best_weights=True)
    with progress.epochs("training", model, most, stopping=stopping) as course:
        model.fit(
            shuffled_batches(
                training.images.astype(np.float32),
                training.labels,
                size=_BATCH,
                epochs=range(course.first, course.end),
                seed=options.seed,
            ),
            validation_data=(parts.validation.images.astype(np.float32), parts.validation.labels),
            initial_epoch=course.first,
            epochs=course.end,
            steps_per_epoch=in_epoch,
            shuffle=False,
            verbose=0,
            callbacks=course.callbacks,
        )
    return Fitted(model, course.history, int(np.argmin(course.history["val_loss"])) + 1)
