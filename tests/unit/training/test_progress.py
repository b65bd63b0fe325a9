import io
import itertools
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

from training.checkpoints import checkpoints
from training.display import Display
from training.forecaster.batches import batch_count, shuffled_batches
from training.options import PublishOptions
from training.progress import Course, Progress, TrialEndedError

EPOCHS = 6
_ROWS = np.random.default_rng(0).normal(size=(22, 3)).astype(np.float32)
_TARGETS = _ROWS @ np.array([[1.0], [-2.0], [0.5]], np.float32)


class _Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self._after:
            raise KeyboardInterrupt


def trained(models: Path, *, patience: int, interrupt_after: int = -1, resume: bool = False) -> tuple[Any, Course]:
    """Trains a small network with dropout, noise and a schedule; returns its weights and what `fit` gave."""
    keras.utils.set_random_seed(1)
    rows = keras.Input((3,))
    noisy = keras.layers.Dropout(0.3)(keras.layers.Dense(8, activation="relu")(keras.layers.GaussianNoise(0.1)(rows)))
    model = keras.Model(rows, keras.layers.Dense(1)(noisy))
    rate = keras.optimizers.schedules.CosineDecay(0.05, EPOCHS * batch_count(len(_ROWS), 4))
    model.compile(keras.optimizers.Adam(rate), "mse", jit_compile=False)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
    display = Display(Console(file=io.StringIO()))
    place = PublishOptions(models, "small", force=False, tolerance=0.0)
    with checkpoints(place, {}, resume=resume, display=display) as kept:
        with Progress(display, kept).epochs("training", model, EPOCHS, stopping=stopping) as course:
            model.fit(
                shuffled_batches(_ROWS, _TARGETS, size=4, epochs=range(course.first, course.end), seed=3),
                validation_data=(_ROWS[:7], _TARGETS[:7]),
                initial_epoch=course.first,
                epochs=course.end,
                steps_per_epoch=batch_count(len(_ROWS), 4),
                shuffle=False,
                verbose=0,
                callbacks=[*course.callbacks, _Interrupt(interrupt_after)],
            )
        if interrupt_after == EPOCHS:
            raise KeyboardInterrupt
    return [weight.tobytes() for weight in model.get_weights()], course


@pytest.mark.parametrize(("after", "patience"), [(1, 50), (4, 50), (EPOCHS, 50), (EPOCHS, 0)])
def test_a_training_that_is_gone_on_with_ends_as_one_without_interruption(
    tmp_path: Path, after: int, patience: int
) -> None:
    whole, course = trained(tmp_path / "whole", patience=patience)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "models", patience=patience, interrupt_after=after)
    weights, again = trained(tmp_path / "models", patience=patience, resume=True)
    assert again.first == min(after, len(course.history["loss"]))
    assert weights == whole
    assert again.history == course.history
    assert not list((tmp_path / "models").iterdir())


def test_a_trial_keeps_no_epoch(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    display = Display(Console(file=io.StringIO()))
    place = PublishOptions(tmp_path, "small", force=False, tolerance=0.0)
    with checkpoints(place, {}, resume=False, display=display) as kept:
        with (
            pytest.raises(TrialEndedError),
            Progress(display, kept, trial=True).epochs("training", model, 1) as course,
        ):
            model.fit(_ROWS, _TARGETS, validation_data=(_ROWS, _TARGETS), verbose=0, callbacks=course.callbacks)
        assert not kept.kept


@pytest.mark.parametrize(
    ("losses", "stopping", "expected"),
    [
        ([0.3, 0.1, 0.2], False, 0.2),
        ([0.3, 0.1, 0.2], True, 0.1),
        ([math.nan, 0.1, math.nan], True, 0.1),
        ([0.1, math.nan], False, math.nan),
        ([math.nan, math.nan], True, math.nan),
    ],
)
def test_a_trial_is_judged_by_the_weights_it_would_keep(losses: list[float], stopping: bool, expected: float) -> None:
    callback = keras.callbacks.EarlyStopping() if stopping else None
    progress = Progress(Display(Console(file=io.StringIO())), trial=True)
    with (
        pytest.raises(TrialEndedError) as ended,
        progress.epochs("training", keras.Model(), len(losses), stopping=callback) as course,
    ):
        course.history["val_loss"] = losses
    assert ended.value.loss == pytest.approx(expected, nan_ok=True)


def test_each_epoch_has_all_examples_in_an_order_of_its_own() -> None:
    def order(epochs: range, seed: int = 0) -> list[list[float]]:
        rows = np.arange(10, dtype=np.float32)
        return [batch[0].numpy().tolist() for batch in shuffled_batches(rows, rows, size=4, epochs=epochs, seed=seed)]

    found = order(range(3))
    assert [len(batch) for batch in found] == [4, 4, 2] * 3
    for epoch in range(3):
        assert sorted(itertools.chain(*found[epoch * 3 : epoch * 3 + 3])) == list(range(10))
    assert found[3:] == order(range(1, 3))
    assert found[:3] != found[3:6]
    assert found != order(range(3), seed=1)
