"""LSTMs that correct the linear forecast: what judges them, and how they are trained again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from series_files.reading import Reading
from training.card import finite
from training.checkpoints import Checkpoints, checkpoints
from training.display import Display
from training.errors import TrainingError
from training.forecaster import fit as module
from training.forecaster.batches import batch_count
from training.forecaster.correction import Correction
from training.forecaster.data import SeriesData
from training.forecaster.fit import Fitted, Task, fit
from training.forecaster.forecast import QuantileForecaster
from training.forecaster.model import LEVELS
from training.forecaster.split import boundaries
from training.options import ForecasterOptions, PublishOptions
from training.progress import Course, Progress

_DISPLAY = Display(Console(quiet=True))
_WINDOW, _HORIZON = 8, 4
_OPTIONS = ForecasterOptions("noise", Reading(), "quantile", _WINDOW, _HORIZON, 1, seed=0, epochs=3)
_TAKEN = Correction(share=0.7, linear_error=1.0, error=0.5)


def _task(length: int = 300) -> Task:
    values = np.random.default_rng(0).normal(size=length).cumsum()[:, np.newaxis]
    data = SeriesData("walk", values, ("value",), 1, _WINDOW)
    return Task(data, boundaries(length, window=_WINDOW, horizon=_HORIZON), _WINDOW, _HORIZON)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[Any]]:
    """The truth that judges, normalised; whatever it is, most of the correction is taken."""
    truths: list[NDArray[Any]] = []

    def judged(truth: NDArray[Any], *_: NDArray[Any]) -> Correction:
        truths.append(truth)
        return _TAKEN

    monkeypatch.setattr(module, "judge", judged)
    return truths


@pytest.mark.parametrize(("length", "apart"), [(300, True), (100, False)])
def test_what_chose_the_epoch_does_not_judge_where_the_part_is_long_enough(
    judged: list[NDArray[Any]], monkeypatch: pytest.MonkeyPatch, *, length: int, apart: bool
) -> None:
    stopping = []
    trained = module._Trainer.train

    def train(self: Any, windows: tuple[Any, Any], validation: tuple[Any, Any]) -> Any:
        stopping.append(validation[1])
        return trained(self, windows, validation)

    monkeypatch.setattr(module._Trainer, "train", train)
    fitted = fit(_task(length), _OPTIONS, Progress(_DISPLAY))
    assert fitted.correction == replace(_TAKEN, apart=apart)
    common = np.isin(judged[0], stopping[0])
    assert not common.any() if apart else common.all()
    assert len(judged[0]) >= 2 * _HORIZON


def test_intervals_are_those_of_the_linear_forecasts_whatever_the_lstms_add(judged: list[NDArray[Any]]) -> None:
    fitted = fit(_task(), _OPTIONS, Progress(_DISPLAY))
    assert judged
    assert isinstance(fitted.forecaster, QuantileForecaster)
    assert fitted.combination is not None
    np.testing.assert_array_equal(fitted.forecaster.offsets, fitted.combination.offsets(LEVELS))


@pytest.mark.usefixtures("judged")
def test_the_learning_rate_falls_as_it_did_when_it_is_trained_again_on_more(monkeypatch: pytest.MonkeyPatch) -> None:
    falls = []
    fits = module._Trainer._fit

    def trained(self: Any, windows: tuple[Any, Any], *given: Any) -> None:
        steps = self.network.optimizer.get_config()["learning_rate"]["config"]["decay_steps"]
        falls.append((steps, 3 * batch_count(len(windows[0]), 32)))
        fits(self, windows, *given)

    monkeypatch.setattr(module._Trainer, "_fit", trained)
    fit(_task(), _OPTIONS, Progress(_DISPLAY))
    (first, expected), (again, expected_again) = falls
    assert (first, again) == (expected, expected_again)
    assert again > first


@pytest.mark.usefixtures("judged")
def test_a_second_training_that_is_gone_on_with_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "best_epoch", lambda _: 2)
    task = _task()
    whole = _weights(fit(task, _OPTIONS, Progress(_DISPLAY)))
    place = PublishOptions(tmp_path, "walk", force=False, tolerance=0.0)
    save = Checkpoints.save

    def interrupting(self: Checkpoints, phase: str, *given: Any) -> None:
        save(self, phase, *given)
        if phase == "training on both parts":
            raise KeyboardInterrupt

    def run(*, resume: bool) -> Fitted:
        with checkpoints(place, {}, resume=resume, display=_DISPLAY) as kept:
            return fit(task, _OPTIONS, Progress(_DISPLAY, kept))

    monkeypatch.setattr(Checkpoints, "save", interrupting)
    with pytest.raises(KeyboardInterrupt):
        run(resume=False)
    monkeypatch.setattr(Checkpoints, "save", save)
    assert _weights(run(resume=True)) == whole


def _weights(fitted: Fitted) -> list[bytes]:
    assert fitted.best_epoch == 3
    return [weights.tobytes() for weights in fitted.forecaster.network.get_weights()]


@pytest.mark.parametrize("preset", ["quantile", "plain"])
def test_a_training_that_diverges_is_told(preset: str) -> None:
    options = replace(_OPTIONS, preset=preset, learning_rate=1e38)
    with pytest.raises(TrainingError, match=r"the training diverged: the .* is not finite; try a smaller --learning"):
        fit(_task(), options, Progress(_DISPLAY))


def test_epochs_that_diverged_are_none_of_them_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(_self: Any, _windows: Any, course: Course, *_: Any) -> None:
        course.history.update({"loss": [0.5, 0.4, np.nan], "val_loss": [np.nan, 0.4, np.nan]})

    monkeypatch.setattr(module._Trainer, "_fit", diverging)
    trainer = module._Trainer(keras.Model(), 3, 0, Progress(_DISPLAY))
    history, best = trainer.train(((), ()), ((), ()))
    assert best == 2
    assert finite(history) == {"loss": [0.5, 0.4, None], "val_loss": [None, 0.4, None]}
    with pytest.raises(TrainingError, match="the loss of the last epoch is not finite"):
        trainer.retrain(((), ()), 3)
