"""Trains the network, stopping when the validation part no longer gains."""

from dataclasses import dataclass

import keras
import numpy as np

from training.classifier.model import build
from training.classifier.split import Parts
from training.display import Display

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


def fit(parts: Parts, classes: int, *, mirrored: bool, seed: int, epochs: int | None, display: Display) -> Fitted:
    """Trains a classifier; the test part is not touched.

    Args:
        parts: the split images.
        classes: how many there are.
        mirrored: images may be mirrored.
        seed: makes the run repeatable on the same machine.
        epochs: the most passes over the data; None chooses by its size.
        display: shows the model and the progress.
    """
    keras.utils.set_random_seed(seed)
    training = parts.training
    model = build(
        training.images.shape[1:],
        classes,
        mean=float(training.images.mean()),
        deviation=float(training.images.std()) or 1.0,
        mirrored=mirrored,
    )
    most = epochs or int(np.clip(_IMAGES_SEEN // len(training), *_EPOCHS))
    steps = most * -(-len(training) // _BATCH)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps), weight_decay=1e-3
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    display.summary(model)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=_PATIENCE, restore_best_weights=True)
    with display.epochs(most) as progress:
        history = model.fit(
            training.images.astype(np.float32),
            training.labels,
            validation_data=(parts.validation.images.astype(np.float32), parts.validation.labels),
            batch_size=_BATCH,
            epochs=most,
            verbose=0,
            callbacks=[stopping, progress],
        )
    figures = {name: [float(value) for value in values] for name, values in history.history.items()}
    return Fitted(model, figures, int(np.argmin(figures["val_loss"])) + 1)
