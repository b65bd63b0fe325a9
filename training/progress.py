"""Shows a training go by, and keeps after each epoch what another run needs to go on with it, to the bit."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from training.checkpoints import Checkpoints
from training.display import Display

_LISTS = ("variables", "optimizer", "best")
_STOPPING = ("wait", "best", "best_epoch")  # what EarlyStopping decides by, beside the best weights


class TrialEndedError(Exception):
    """A trial has reached what it is for: `loss`, on the validation part, with the weights that it would keep."""

    def __init__(self, loss: float) -> None:
        super().__init__(loss)
        self.loss = loss


@dataclass(slots=True)
class Course:
    """What a call of `fit` is given, and what comes of it.

    Attributes:
        first: how many epochs there were already; `initial_epoch`.
        end: the epoch before which it ends; `epochs`.
        callbacks: for the call.
        history: figures per epoch, by name, those of earlier runs included.
    """

    first: int
    end: int
    callbacks: list[Any] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run shows, and what it keeps.

    Attributes:
        display: shows it.
        checkpoints: keeps it; None keeps nothing.
        trial: only the loss on the validation part is asked for, and the run ends once it is known; of its epochs none
            is kept.
        histories: of the trainings that have ended, by phase.
    """

    display: Display
    checkpoints: Checkpoints | None = None
    trial: bool = False
    histories: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def check_data(self, digest: str, what: str = "data") -> None:
        """Compares the data with those of the run that is gone on with; see `Checkpoints.check_data`."""
        if self.checkpoints is not None:
            self.checkpoints.check_data(digest, what)

    @contextlib.contextmanager
    def epochs(self, phase: str, model: keras.Model, total: int, *, stopping: Any | None = None) -> Iterator[Course]:
        """Prepares a call of `fit`, whose batches must follow from the number of their epoch.

        Args:
            phase: names the call, among all of a run.
            model: compiled; gets the state in which an earlier run had left it.
            total: the most epochs there can be.
            stopping: Keras' EarlyStopping, which ends it earlier.

        Raises:
            TrialEndedError: this is a trial, and it has come to its end.
        """
        course = Course(0, total)
        # The keeper is last: it keeps what the others have decided.
        later = [keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: _append(course.history, logs))]
        if self.checkpoints is not None and not self.trial:
            keeper = _Keeper(self.checkpoints, phase, model, course, stopping)
            keeper.restore()
            later.append(keras.callbacks.LambdaCallback(on_train_begin=keeper.begin, on_epoch_end=keeper.save))
        with self.display.epochs(total) as shown:
            course.callbacks = [*([] if stopping is None else [stopping]), shown, *later]
            yield course
        self.histories[phase] = course.history
        if self.trial and "val_loss" in course.history:
            losses = course.history["val_loss"]
            # Early stopping keeps the weights of the best epoch, a training without it those of the last.
            raise TrialEndedError(losses[-1] if stopping is None else losses[best_epoch(losses)])


def best_epoch(losses: Sequence[float]) -> int:
    """The epoch with the least loss, counted from 0; one that is not a number is never it, unless all are."""
    return int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))


class _Keeper:
    """Saves the whole state of a training after each epoch."""

    def __init__(
        self, store: Checkpoints, phase: str, model: keras.Model, course: Course, stopping: Any | None
    ) -> None:
        self._store = store
        self._phase = phase
        self._model = model
        self._course = course
        self._stopping = stopping
        self._stopping_began: dict[str, Any] = {}
        model.optimizer.build(model.trainable_variables)

    def restore(self) -> None:
        """Puts the model, the course and the stopping into the state that was saved, if one was."""
        saved = self._store.load(self._phase)
        if saved is None:
            return
        about, arrays = saved
        found = {name: [arrays[f"{name}_{index}"] for index in range(about["counts"][name])] for name in _LISTS}
        for variables, values in zip(self._variables(), (found["variables"], found["optimizer"]), strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        self._course.history.update(about["history"])
        self._course.first = about["epochs"]
        if about["stopped"]:
            self._course.end = about["epochs"]
        if self._stopping is not None:
            self._stopping_began = {**about["stopping"], "best_weights": found["best"] or None}

    def begin(self, _logs: Mapping[str, float] | None = None) -> None:
        """Lets the stopping begin where it had arrived; Keras has just set it back."""
        for name, value in self._stopping_began.items():
            setattr(self._stopping, name, value)

    def save(self, epoch: int, _logs: Mapping[str, float] | None = None) -> None:
        """Saves it."""
        stopping = self._stopping
        best = [] if stopping is None else stopping.best_weights or []
        lists = dict(zip(_LISTS, (*self._variables(), best), strict=True))
        about = {
            "epochs": epoch + 1,
            "stopped": bool(self._model.stop_training),
            "history": self._course.history,
            "stopping": {} if stopping is None else {name: _number(getattr(stopping, name)) for name in _STOPPING},
            "counts": {name: len(values) for name, values in lists.items()},
        }
        arrays = {
            f"{name}_{index}": np.asarray(value) for name, values in lists.items() for index, value in enumerate(values)
        }
        self._store.save(self._phase, about, arrays)

    def _variables(self) -> tuple[list[Any], list[Any]]:
        return list(self._model.variables), list(self._model.optimizer.variables)


def _append(history: dict[str, list[float]], logs: Mapping[str, float] | None) -> None:
    for name, value in (logs or {}).items():
        history.setdefault(name, []).append(float(value))


def _number(value: Any) -> int | float | None:
    return value if value is None or isinstance(value, int) else float(value)
