"""Trains a forecaster: once with early stopping, then again for as many epochs on training and validation part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from training.convergence import check_converged
from training.forecaster.batches import batch_count, shuffled_batches
from training.forecaster.combination import Combination, combine
from training.forecaster.correction import NONE, Correction, can_be_judged, judge
from training.forecaster.data import SeriesData
from training.forecaster.forecast import Forecaster, PlainForecaster, QuantileForecaster, predict
from training.forecaster.linear import LinearMap, Sizes
from training.forecaster.model import LEVELS, LINE, build_corrected, build_linear, build_plain, set_start
from training.forecaster.scaling import Scaling
from training.forecaster.split import Boundaries, futures, histories
from training.options import ForecasterOptions
from training.progress import Course, Progress, TrialEndedError, best_epoch

_BATCH = 32
_EPOCHS = {"quantile": 15, "plain": 100}
_PATIENCE = 10
_LEARNING_RATE = 3e-3
_PLAIN_LEARNING_RATE = 1e-3  # Adam's own


@dataclass(frozen=True, slots=True)
class Task:
    """A forecasting task.

    Attributes:
        data: the series.
        bounds: its parts.
        window: past steps that a forecast sees.
        horizon: steps to forecast.
    """

    data: SeriesData
    bounds: Boundaries
    window: int
    horizon: int

    @property
    def sizes(self) -> Sizes:
        """The sizes of its windows."""
        return Sizes(self.window, self.horizon, self.data.period)

    def windows(self, scaling: Scaling, first: int, end: int, *, steps: int) -> tuple[Any, Any]:
        """Windows and their targets, normalised; all targets lie in [first, end).

        Returns:
            float32 [N,window,F] and [N,steps].
        """
        normalised = scaling.normalised(self.data.values)
        origins = range(max(first, self.window), end - steps + 1)
        targets = futures(normalised[:, 0], origins, steps)
        return histories(normalised, origins, self.window), targets.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained forecaster and how it got there.

    Attributes:
        forecaster: trained on training and validation part.
        history: of the run with early stopping, per epoch, `loss` and `val_loss`.
        best_epoch: the epoch with the least `val_loss`, counted from 1; the length of the second run.
        combination: of linear forecasts, that the LSTMs correct; None for the plain preset.
        correction: what they add to it; None for the plain preset.
    """

    forecaster: Forecaster
    history: dict[str, list[float]]
    best_epoch: int
    combination: Combination | None = None
    correction: Correction | None = None

    @property
    def epochs_run(self) -> int:
        """The epochs of the run with early stopping."""
        return len(self.history.get("loss", []))


@dataclass(frozen=True, slots=True)
class _Trainer:
    """Trains a network twice from the same initial state."""

    network: keras.Model
    epochs: int
    seed: int
    progress: Progress

    def train(self, windows: tuple[Any, Any], validation: tuple[Any, Any]) -> tuple[dict[str, list[float]], int]:
        """Trains with early stopping and keeps the weights of the best epoch.

        Returns:
            The history, and the best epoch, counted from 1.

        Raises:
            TrainingError: the training diverged.
        """
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=_PATIENCE, restore_best_weights=True)
        with self.progress.epochs("training", self.network, self.epochs, stopping=stopping) as course:
            self._fit(windows, course, validation)
        losses = course.history["val_loss"]
        best = best_epoch(losses)
        check_converged("loss on the validation part", losses[best])
        return course.history, best + 1

    def retrain(self, windows: tuple[Any, Any], epochs: int) -> None:
        """Trains for a fixed number of epochs.

        Raises:
            TrainingError: the training diverged.
        """
        with self.progress.epochs("training on both parts", self.network, epochs) as course:
            self._fit(windows, course)
        check_converged("loss of the last epoch", course.history["loss"][-1])

    def _fit(self, windows: tuple[Any, Any], course: Course, validation: tuple[Any, Any] | None = None) -> None:
        self.network.fit(
            shuffled_batches(*windows, size=_BATCH, epochs=range(course.first, course.end), seed=self.seed),
            validation_data=validation,
            initial_epoch=course.first,
            epochs=course.end,
            steps_per_epoch=batch_count(len(windows[0]), _BATCH),
            shuffle=False,
            verbose=0,
            callbacks=course.callbacks,
        )


def fit(task: Task, options: ForecasterOptions, progress: Progress) -> Fitted:
    """Trains a forecaster; the test part is not touched.

    Args:
        task: the series, its parts, and the sizes of window and horizon.
        options: its preset, seed, epochs and learning rate.
        progress: shows the model and its epochs, and keeps them.

    Raises:
        TrainingError: the training diverged.
    """
    keras.utils.set_random_seed(options.seed)
    train = _fit_quantile if options.preset == "quantile" else _fit_plain
    return train(task, options, progress)


def _fit_quantile(task: Task, options: ForecasterOptions, progress: Progress) -> Fitted:
    bounds, features = task.bounds, task.data.values.shape[1]
    combination = combine(task.data.target[: bounds.test_start], task.sizes)
    can_judge = _can_judge(task, bounds.validation_start)
    corrected = _Corrected(task, combination, options, progress) if can_judge else None
    if progress.trial and corrected is None:
        raise TrialEndedError(combination.error)
    correction = corrected.judged() if corrected else NONE
    scaling, start = _initial(task, bounds.test_start, combination)
    if corrected and correction.share:
        corrected.retrain(scaling, start)
        portable = build_corrected(task.window, features, start=start, fused=False)
        portable.set_weights(corrected.network.get_weights())
    else:
        portable = build_linear(task.window, features, start=start)
    forecaster = QuantileForecaster(portable, scaling, combination.offsets(LEVELS), correction.share)
    history, best = (corrected.history, corrected.best_epoch) if corrected else ({}, 0)
    return Fitted(forecaster, history, best, combination, correction)


def _can_judge(task: Task, start: int) -> bool:
    """Whether what lies between `start` and the test part is enough to tell whether a correction helps."""
    return can_be_judged(task.bounds.test_start - start - task.horizon + 1, task.horizon)


class _Corrected:
    """The network that corrects a linear map, trained with early stopping; and once more, if it is of use.

    The first half of the validation part decides when to stop, the second whether the network helps: on what chose the
    epoch it looks better than it is. Where half of the part would be too short, all of it does both.
    """

    def __init__(self, task: Task, combination: Combination, options: ForecasterOptions, progress: Progress) -> None:
        first, end = task.bounds.validation_start, task.bounds.test_start
        middle = (first + end) // 2
        self._apart = _can_judge(task, middle)
        scaling, start = _initial(task, first, combination)
        windows = task.windows(scaling, 0, first, steps=task.horizon)
        stopping = task.windows(scaling, first, middle if self._apart else end, steps=task.horizon)
        self._judging = task.windows(scaling, middle, end, steps=task.horizon) if self._apart else stopping
        self._task = task
        self._rate = options.learning_rate or _LEARNING_RATE
        self._epochs = options.epochs or _EPOCHS[options.preset]
        self.network = build_corrected(task.window, task.data.values.shape[1], start=start, fused=True)
        self._compile(len(windows[0]))
        progress.display.summary(self.network)
        self._trainer = _Trainer(self.network, self._epochs, options.seed, progress)
        self._restore = _snapshot(self.network)
        self.history, self.best_epoch = self._trainer.train(windows, stopping)

    def judged(self) -> Correction:
        """What the members add to the linear map on the validation part, in normalised units."""
        seen, truth = self._judging
        line = self.network.get_layer(LINE)(seen[:, :, 0]).numpy()
        corrected = self.network(seen, training=False).numpy().mean(axis=1)
        check_converged("network's answer", corrected)
        return replace(judge(truth, line, corrected), apart=self._apart)

    def retrain(self, scaling: Scaling, start: LinearMap) -> None:
        """Trains from the same initial weights on all that lies before the test part."""
        windows = self._task.windows(scaling, 0, self._task.bounds.test_start, steps=self._task.horizon)
        self._restore()
        set_start(self.network, start)
        self._compile(len(windows[0]))
        self._trainer.retrain(windows, self.best_epoch)

    def _compile(self, examples: int) -> None:
        """The learning rate falls with the epochs, and an epoch has as many steps as the examples make batches."""
        steps = self._epochs * batch_count(examples, _BATCH)
        schedule = keras.optimizers.schedules.CosineDecay(self._rate, steps)
        self.network.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), _mean_error, jit_compile=False)


def _fit_plain(task: Task, options: ForecasterOptions, progress: Progress) -> Fitted:
    epochs = options.epochs or _EPOCHS[options.preset]
    validation_start, test_start = task.bounds.validation_start, task.bounds.test_start
    scaling = Scaling.fitted(task.data.values[:validation_start])
    network = build_plain(task.window)
    network.compile(keras.optimizers.Adam(options.learning_rate or _PLAIN_LEARNING_RATE), "mse", jit_compile=False)
    progress.display.summary(network)
    trainer, restore = _Trainer(network, epochs, options.seed, progress), _snapshot(network)
    history, best = trainer.train(
        task.windows(scaling, 0, validation_start, steps=1),
        task.windows(scaling, validation_start, test_start, steps=1),
    )
    nothing = np.zeros((task.horizon, len(LEVELS)))
    residuals = _residual_quantiles(task, PlainForecaster(network, scaling, nothing))
    restore()
    scaling = Scaling.fitted(task.data.values[:test_start])
    trainer.retrain(task.windows(scaling, 0, test_start, steps=1), best)
    return Fitted(PlainForecaster(network, scaling, residuals), history, best)


def _initial(task: Task, end: int, combination: Combination) -> tuple[Scaling, LinearMap]:
    """The scaling and the linear map, fitted on the values before `end`."""
    scaling = Scaling.fitted(task.data.values[:end], power=combination.power)
    return scaling, combination.fitted(scaling.normalised(task.data.values[:end])[:, 0], task.sizes)


def _snapshot(network: keras.Model) -> Callable[[], None]:
    """Saves weights and optimizer state of a compiled network; calling the result restores both.

    A second network would do, but would have to be traced again, which takes longer than a short training.
    """
    network.optimizer.build(network.trainable_variables)
    variables = [*network.variables, *network.optimizer.variables]
    values = [np.array(variable.numpy()) for variable in variables]

    def restore() -> None:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    return restore


def _residual_quantiles(task: Task, forecaster: Forecaster) -> NDArray[np.float64]:
    """Per step of the horizon the quantiles of truth minus forecast on the validation part: float64 [H,Q]."""
    origins = range(max(task.bounds.validation_start, task.window), task.bounds.test_start - task.horizon + 1)
    forecast, _ = predict(forecaster, histories(task.data.values, origins, task.window))
    residuals = futures(task.data.target, origins, task.horizon) - forecast
    return np.quantile(residuals, LEVELS, axis=0).T


def _mean_error(truth: Any, forecasts: Any) -> Any:
    """The mean absolute error, which the median makes least.

    Args:
        truth: [N,H].
        forecasts: [N,members,H].
    """
    return ops.mean(ops.abs(truth[:, None, :] - forecasts))
