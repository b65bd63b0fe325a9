"""Tries several settings and takes those with the least loss on the validation part; the test part is not looked at.

The first trial has the settings that a run without a sweep has. The others are chosen by Optuna, with the
tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from training.errors import SettingsError
from training.progress import Progress, TrialEndedError

_PHASE = "sweep"
_RATES = (3e-4, 1e-2)
_SPACES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "classifier": {"learning_rate": _RATES, "epochs": (10, 60)},
    "forecaster": {"learning_rate": _RATES, "epochs": (5, 40), "window": (6, 48)},
}
"""By kind of model and option, the least and the greatest value that is tried; in between, ratios count alike."""

Settings = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sweep:
    """How settings are looked for.

    Attributes:
        kind: `classifier` or `forecaster`.
        trials: the most trials.
        minutes: after which no trial is begun; None for no limit.
        fixed: options that the user has chosen, and that are not varied.
        seed: decides what is tried.
    """

    kind: str
    trials: int
    minutes: float | None
    fixed: frozenset[str]
    seed: int

    def run(self, train: Callable[[Settings, Progress], object], progress: Progress) -> tuple[Settings, dict[str, Any]]:
        """Tries settings, shows a table of them, and returns the best.

        Args:
            train: begins a training with some settings, which ends with TrialEndedError.
            progress: shows the trials, and keeps them for a run that goes on with this one.

        Returns:
            The best settings by option, empty where the usual ones are; and what a manifest says of the sweep.

        Raises:
            TrainingError: the usual settings cannot be trained with, or the data are unusable or others than before.
        """
        space = {name: limits for name, limits in _SPACES[self.kind].items() if name not in self.fixed}
        done: list[dict[str, Any]] = []
        if progress.checkpoints is not None and (saved := progress.checkpoints.load(_PHASE)):
            done = saved[0]["trials"]
        end = math.inf if self.minutes is None else time.monotonic() + self.minutes * 60
        while len(done) < self.trials and (not done or time.monotonic() < end):
            settings = self._next(space, done) if done else {}
            trial = self._tried(train, settings, progress, first=not done)
            done.append(trial)
            progress.display.note(f"Trial {len(done)} of {self.trials}: {_text(settings)}: {_loss(trial)}")
            if progress.checkpoints is not None:
                progress.checkpoints.save(_PHASE, {"trials": done}, {})
        ranked = sorted(done, key=lambda trial: math.inf if trial["loss"] is None else trial["loss"])
        rows = [[*(_cell(trial["settings"], name) for name in space), _loss(trial)] for trial in ranked]
        display_columns = [name.replace("_", " ") for name in space]
        progress.display.table("Trials, the best first", [*display_columns, "loss on the validation part"], rows)
        best: Settings = ranked[0]["settings"]
        progress.display.note(f"Training with {_text(best)}")
        return best, {"trials": done, "best": best}

    def _next(self, space: Mapping[str, tuple[float, float]], done: list[dict[str, Any]]) -> Settings:
        """What Optuna would try after those trials; the same whether or not they were made by this run."""
        import optuna
        from optuna.distributions import FloatDistribution, IntDistribution

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        distributions = {
            name: FloatDistribution(low, high, log=True)
            if name == "learning_rate"
            else IntDistribution(int(low), int(high), log=True)
            for name, (low, high) in space.items()
        }
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=self.seed + len(done)))
        for trial in done[1:]:  # the first has no numbers
            failed = trial["loss"] is None
            study.add_trial(
                optuna.trial.create_trial(
                    params=trial["settings"],
                    distributions=distributions,
                    value=None if failed else trial["loss"],
                    state=optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE,
                )
            )
        return dict(study.ask(distributions).params)

    @staticmethod
    def _tried(
        train: Callable[[Settings, Progress], object], settings: Settings, progress: Progress, *, first: bool
    ) -> dict[str, Any]:
        import keras

        began = time.monotonic()
        loss: float | None = None
        try:
            train(settings, Progress(progress.display.silent(), progress.checkpoints, trial=True))
        except TrialEndedError as ended:
            loss = ended.loss if math.isfinite(ended.loss) else None
        except SettingsError:  # others, such as that the data are not there, say nothing of the settings
            if first:
                raise
        finally:
            keras.utils.clear_session()
        return {"settings": settings, "loss": loss, "seconds": round(time.monotonic() - began, 1)}


def _text(settings: Settings) -> str:
    if not settings:
        return "the usual settings"
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in settings.items())


def _cell(settings: Settings, name: str) -> str:
    return f"{settings[name]:.3g}" if name in settings else "usual"


def _loss(trial: Mapping[str, Any]) -> str:
    return "cannot be trained" if trial["loss"] is None else f"{trial['loss']:.4f}"
