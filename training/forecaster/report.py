"""The report that lies beside a forecaster: model card, metrics and pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.card import finite, gate_section, notes, table, write_report
from training.forecaster import parts, plots
from training.forecaster.evaluate import Errors
from training.forecaster.fit import Fitted, Task
from training.gate import Verdict

OURS = "this network"

_ABOUT = {
    "quantile": "A linear forecast of the whole horizon, combined of several, and LSTMs that correct it as far as they "
    "were seen to help. The forecast is the median; its 80 % and 95 % intervals are the quantiles of the errors of "
    "earlier forecasts, per step.",
    "plain": "An LSTM of 50 units (ReLU) that forecasts one step; further steps take its own forecasts for the truth. "
    "Its intervals are the forecast plus the quantiles of its errors on the validation part, per step.",
}
_LOSS = {"quantile": "quantile loss, normalised units", "plain": "mean squared error, normalised units"}


_DECIDED = {"quantile": "when to stop, and how much the LSTMs count", "plain": "when to stop"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that was measured on the test part.

    Attributes:
        errors: by the name of the forecaster, the network under `OURS`.
        coverage: by nominal share, the share of true values inside the network's interval.
        below: by level, the share of true values at or below the network's quantile.
    """

    errors: Mapping[str, Errors]
    coverage: Mapping[str, float]
    below: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """What a forecaster's report is written from.

    Attributes:
        name: of the model.
        task: the task it was trained for.
        preset: `quantile` or `plain`.
        fitted: the trained forecaster.
        evaluation: what was measured.
        quantiles: float32 [origins,H,Q], the forecasts on the test part.
        seed: of the run.
    """

    name: str
    task: Task
    preset: str
    fitted: Fitted
    evaluation: Evaluation
    quantiles: NDArray[np.float32]
    seed: int

    def write(self, folder: Path, verdict: Verdict) -> None:
        """Writes the model card, the metrics and the pictures into a folder."""
        origins = self.task.bounds.test_origins
        whole = len(origins) - self.task.horizon
        chosen = sorted({0, whole // 2, whole})
        target = self.task.data.target
        if self.fitted.epochs_run:
            plots.learning_curves(
                folder / "learning_curves.png", self.fitted.history, self.fitted.best_epoch, _LOSS[self.preset]
            )
        plots.errors_per_step(folder / "error_per_step.png", self.evaluation.errors)
        plots.forecasts(folder / "forecasts.png", target, [origins[index] for index in chosen], self.quantiles[chosen])
        plots.one_step(folder / "one_step.png", target, origins, self.quantiles[:, 0])
        write_report(folder, _card(self, verdict), metrics(self))


def metrics(report: Report) -> dict[str, Any]:
    """The figures for `metrics.json`."""
    found = report.evaluation
    return {
        "forecasters": {name: errors.as_metrics() for name, errors in found.errors.items()},
        "coverage": dict(found.coverage),
        "share_below_quantile": dict(found.below),
        "parts": parts.figures(report.fitted),
        "history": finite(report.fitted.history),
        "best_epoch": report.fitted.best_epoch,
    }


def summary_rows(errors: Mapping[str, Errors]) -> list[list[str]]:
    """Forecaster, MAE and MASE one step ahead and over the horizon."""
    return [
        [
            name,
            f"{found.one_step:.4g}",
            f"{found.over_horizon:.4g}",
            f"{found.one_step / found.scale:.3f}",
            f"{found.over_horizon / found.scale:.3f}",
        ]
        for name, found in errors.items()
    ]


def summary_columns(horizon: int) -> list[str]:
    """The heads of the columns of `summary_rows`."""
    return ["forecaster", "MAE, 1 step", f"MAE, {horizon} steps", "MASE, 1 step", f"MASE, {horizon} steps"]


def _power_sentence(report: Report) -> str:
    power = report.fitted.forecaster.scaling.power
    return "" if power == 1 else f"Inside, it works on the values to the power of {power:.3g}. "


def _training(report: Report) -> str:
    fitted = report.fitted
    if not fitted.epochs_run:
        return f"Seed {report.seed}; no network was trained."
    epochs = f"Seed {report.seed}; best of {fitted.epochs_run} epochs: {fitted.best_epoch}."
    return f"{epochs}\n\n![Learning curves](learning_curves.png)"


def _card(report: Report, verdict: Verdict) -> str:
    task, found = report.task, report.evaluation
    data, bounds = task.data, task.bounds
    names = list(found.errors)
    columns = ", ".join(f"`{name}`" for name in data.columns)
    steps = [
        [str(step + 1), *(f"{errors.mae[step]:.4g} ({errors.mase[step]:.2f})" for errors in found.errors.values())]
        for step in range(task.horizon)
    ]
    coverage = [[f"{share}", f"{inside:.1%}"] for share, inside in found.coverage.items()]
    return f"""
# {report.name}: forecaster

{_ABOUT[report.preset]}

{_power_sentence(report)}It sees the last {task.window} values of {columns} and forecasts the next {task.horizon} of
`{data.columns[0]}`.

## Data

`{data.name}`, SHA-256 `{data.sha256()}`: {bounds.end:,} values, split by time.
{notes(data.notes)}
- The first {bounds.validation_start:,} are the training part.
- The next {bounds.test_start - bounds.validation_start:,} are the validation part, which decided
  {_DECIDED[report.preset]}.
- Then the model was fitted again on both together.
- The last {bounds.end - bounds.test_start:,} are the test part, on which nothing was fitted, normalisation included.

## Errors on the test part

Forecasts were made again at every step of the test part, each from all that was known by then (a rolling origin).
All forecasters were fitted on the same values. Over the horizon only those forecasts count whose truth is known to
the end.

{table(summary_columns(task.horizon), summary_rows(found.errors))}

Mean absolute error (and MASE) per step of the horizon:

{table(["step", *names], steps)}

MASE is in units of the mean change from one value to the next before the test part, {found.errors[OURS].scale:.4g}.

![Error per step](error_per_step.png)
![One step ahead](one_step.png)
![Whole forecasts](forecasts.png)

## Intervals

{table(["interval", "true values inside"], coverage)}

{parts.section(report.fitted)}## Training

{_training(report)}

## Quality gate

{gate_section(verdict)}

## Limits

It expects the future to follow from the past as it did in its data, and knows nothing else. A test part is one stretch
of one series: neighbouring forecasts share most of their truth, and differences of a few percent mean little.
"""
