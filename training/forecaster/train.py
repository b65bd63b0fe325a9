"""Trains and evaluates a forecaster, from the data to a candidate for publication."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.changes import check_change, promised_window
from training.convergence import check_converged
from training.display import Display
from training.errors import TrainingError
from training.forecaster import baselines, export, parts, rival
from training.forecaster.data import SeriesData, hash_of, load
from training.forecaster.evaluate import below, coverage, errors, naive_scale
from training.forecaster.fit import Task, fit
from training.forecaster.fitness import check_learnable
from training.forecaster.forecast import QuantileForecaster, predict
from training.forecaster.model import LEVELS
from training.forecaster.reference import signatures
from training.forecaster.report import OURS, Evaluation, Report, metrics, summary_columns, summary_rows
from training.forecaster.split import boundaries, futures, histories, is_long_enough, training_length
from training.forecaster.window import possible_window, usual_window
from training.gate import Judgement, Rival
from training.options import ForecasterOptions, PublishOptions
from training.pipeline import Candidate
from training.progress import Progress

_LINEAR = "its linear part alone"
_PERSISTENCE = "persistence"
_PLAIN_WINDOW = 10
_MOST_HISTORIES = 2000  # in the reference: enough to tell what they look like
_FAR = 0.15  # from what an interval should hold: it misleads
_INTERVALS = {"80 %": (0.1, 0.9), "95 %": (0.025, 0.975)}


def train(options: ForecasterOptions, place: PublishOptions, progress: Progress) -> Candidate:
    """Trains and evaluates a forecaster.

    Args:
        options: which data, and how.
        place: under which name it is to be published.
        progress: shows the steps and the result, and keeps the epochs.

    Raises:
        TrainingError: the data are unusable, or too short for the window and the horizon, or the training diverged.
        PublicationRefusedError: the published version has other columns, or another window or horizon.
    """
    display = progress.display
    display.step(f"Loading {options.data}")
    task = _task(options, place, display)
    # The window follows what is published, which may have changed since the run that is gone on with.
    progress.check_data(f"{task.data.sha256()}, in windows of {task.window}")
    for note in task.data.notes:
        display.note(note)
    check_change(place, {"kind": "forecaster", **_shapes(task)})
    bounds = task.bounds
    display.step(f"Training on {bounds.test_start:,} of {bounds.end:,} values")
    fitted = fit(task, options, progress)
    display.step(f"Evaluating at each of the last {len(bounds.test_origins):,} values")
    seen = histories(task.data.values, bounds.test_origins, task.window)
    forecast, quantiles = predict(fitted.forecaster, seen)
    # The loss of the last epoch was known before its last step, and may be finite all the same.
    check_converged("network's answer", forecast, quantiles)
    others = _baselines(task)
    if isinstance(fitted.forecaster, QuantileForecaster):
        # What the LSTMs add is only seen beside what they correct.
        others = {_LINEAR: fitted.forecaster.linear(tf.constant(seen)).numpy(), **others}
    evaluation = _evaluate(task, forecast, quantiles, others)
    display.table("On the test part", summary_columns(task.horizon), summary_rows(evaluation.errors))
    report = Report(place.name, task, options.preset, fitted, evaluation, quantiles, options.seed)
    step = -(-bounds.test_start // _MOST_HISTORIES)
    before = histories(task.data.values, range(task.window, bounds.test_start, step), task.window)
    return Candidate(
        kind="forecaster",
        judgement=_judgement(task, evaluation, functools.partial(rival.measure, task=task, forecast=forecast)),
        facts=_facts(report, options),
        methods=export.METHODS,
        cases=export.cases(export.shaped(seen), forecast, quantiles),
        scale=float(task.data.target[: bounds.test_start].std()) or 1.0,
        reference=signatures(export.shaped(before), predict(fitted.forecaster, before)[0], fitted.forecaster.scaling),
        about_reference=f"what lies before the test part of {task.data.name}",
        export=functools.partial(export.export, export.Exported.of(fitted.forecaster)),
        variables=fitted.forecaster.network.variables,
        report=report.write,
    )


def _task(options: ForecasterOptions, place: PublishOptions, display: Display) -> Task:
    data = load(options.data, options.reading)
    data = _with_season(data, options.period)
    window = options.window or _window(data, options, place, display)
    if options.preset == "plain" and len(data.columns) > 1:
        raise TrainingError(
            f"the plain preset forecasts from one column, got {len(data.columns)}: use --preset quantile"
        )
    bounds = boundaries(len(data.values), window=window, horizon=options.horizon)
    check_learnable(data.target[: bounds.test_start], data.columns[0])
    return Task(data, bounds, window, options.horizon)


def _with_season(data: SeriesData, asked: int | None) -> SeriesData:
    """The season that is asked for; else the one of the data, which may have been guessed, where it can be seen."""
    training = training_length(len(data.values))
    if asked is not None:
        if asked > training:
            raise TrainingError(f"--period: expected at most {training}, the training part, got {asked}")
        window = max(data.window, usual_window(len(data.values), asked))
        return dataclasses.replace(data, period=asked, window=window)
    if data.period <= training:
        return data
    note = f"a season of {data.period} steps is longer than the training part, {training}: no season is looked for"
    window = usual_window(len(data.values), 1)
    return dataclasses.replace(data, period=1, window=window, notes=(*data.notes, note))


def _window(data: SeriesData, options: ForecasterOptions, place: PublishOptions, display: Display) -> int:
    """The published version's, which clients rely on, where the series is long enough for it; else what suits it."""
    length, horizon = len(data.values), options.horizon
    if options.preset == "plain":
        usual = _PLAIN_WINDOW
    else:
        usual = possible_window(data.window, length, horizon=horizon, period=data.period)
    promised = promised_window(place)
    if promised in (None, usual) or not is_long_enough(length, window=promised, horizon=horizon):
        return usual
    display.note(f"The window is {promised}, that of the published version of {place.name!r}; it would be {usual} else")
    return promised


def _evaluate(
    task: Task,
    forecast: NDArray[np.float32],
    quantiles: NDArray[np.float32],
    others: Mapping[str, NDArray[np.floating]],
) -> Evaluation:
    truth = futures(task.data.target, task.bounds.test_origins, task.horizon)
    scale = naive_scale(task.data.target[: task.bounds.test_start])
    forecasts: dict[str, NDArray[np.floating]] = {OURS: forecast, **others}
    column = {level: quantiles[..., index] for index, level in enumerate(LEVELS)}
    return Evaluation(
        errors={name: errors(truth, values, scale) for name, values in forecasts.items()},
        coverage={name: coverage(truth, column[low], column[high]) for name, (low, high) in _INTERVALS.items()},
        below=below(truth, quantiles, LEVELS),
    )


def _baselines(task: Task) -> dict[str, NDArray[np.floating]]:
    """The forecasts of what one would use instead, fitted on the same values, at the same origins."""
    target, period = task.data.target, task.data.period
    at = (target, task.bounds.test_origins, task.horizon)
    linear = baselines.autoregression(target[: task.bounds.test_start], period=period, most=task.bounds.test_start)
    found: dict[str, NDArray[np.floating]] = {f"AR({linear.order})": baselines.autoregressive(linear, *at)}
    if period > 1:
        found[f"seasonal naive ({period})"] = baselines.seasonal_naive(*at, period=period)
    return {**found, _PERSISTENCE: baselines.persistence(*at)}


def _judgement(task: Task, evaluation: Evaluation, rerun: Callable[[Path, Mapping[str, Any]], Rival]) -> Judgement:
    """Errors are over the horizon; the tolerance is a share of the error that a limit is made of."""
    tested = task.data.target[task.bounds.test_start :]
    over_horizon = {name: found.over_horizon for name, found in evaluation.errors.items()}
    return Judgement(
        measure="mean absolute error over the horizon",
        error=over_horizon.pop(OURS),
        naive="repeating the last value",
        naive_error=over_horizon.pop(_PERSISTENCE),
        others=over_horizon,
        warnings=tuple(_wrong_intervals(evaluation.coverage)),
        comparison=hash_of(tested, task.data.columns[0], task.horizon),
        limit=lambda error, tolerance: error * (1 + tolerance),
        rerun=rerun,
    )


def _wrong_intervals(coverage: Mapping[str, float]) -> Iterator[str]:
    for name, (low, high) in _INTERVALS.items():
        if abs(coverage[name] - (high - low)) > _FAR:
            yield f"the {name} interval holds {coverage[name]:.0%} of the true values of the test part"


def _shapes(task: Task) -> dict[str, Any]:
    """The manifest's entries on what the model takes and gives."""
    data = task.data
    return {
        "input": {"window": task.window, "columns": list(data.columns), "dtype": "float32", "period": data.period},
        "output": {"horizon": task.horizon, "quantile_levels": list(LEVELS)},
    }


def _facts(report: Report, options: ForecasterOptions) -> dict[str, object]:
    task, data = report.task, report.task.data
    figures = metrics(report)
    short = ("mae_one_step", "mae_over_horizon", "mase_one_step", "mase_over_horizon")
    by_name = {name: {key: values[key] for key in short} for name, values in figures["forecasters"].items()}
    return {
        "data": {
            "name": data.name,
            "sha256": data.sha256(),
            "fitted_sha256": data.sha256_before(task.bounds.test_start),
            "examples": {
                "training": task.bounds.validation_start,
                "validation": task.bounds.test_start - task.bounds.validation_start,
                "test": task.bounds.end - task.bounds.test_start,
            },
            "notes": list(data.notes),
        },
        **_shapes(task),
        "metrics": {**by_name.pop(OURS), "coverage": figures["coverage"], "baselines": by_name},
        "parts": parts.figures(report.fitted),
        "training": {
            **dataclasses.asdict(options),
            "epochs_run": report.fitted.epochs_run,
            "best_epoch": report.fitted.best_epoch,
        },
    }
