"""The training commands. Nothing heavy is imported before a run really trains."""

import argparse
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.arguments import add_commands, check_together, classifier_options, forecaster_options
from training.changes import promised_window
from training.errors import PlaceError, PublicationRefusedError, TrainingError
from training.extras import check_installed, check_training, installed, needs
from training.naming import checked_model_name, model_name_from
from training.options import PublishOptions
from training.repository import check_place, version_folder, versions

if TYPE_CHECKING:
    from training.display import Display
    from training.mlflow_run import MlflowRun
    from training.pipeline import Candidate
    from training.progress import Progress

__all__ = ["BAD_INPUT", "INTERRUPTED", "PUBLISHED", "REFUSED", "UNWRITABLE", "add_commands", "run"]

PUBLISHED, BAD_INPUT, REFUSED, UNWRITABLE, INTERRUPTED = 0, 2, 3, 4, 130
_OF_PUBLISHING = {
    "models",
    "name",
    "tolerance",
    "force",
    "allow_change",
    "if_missing",
    "resume",
    "mlflow_uri",
    "export_dtype",
}
"""Options that the training does not depend on."""


def run(arguments: argparse.Namespace) -> int:
    """Trains, evaluates and publishes a model.

    Args:
        arguments: as parsed by a parser that `add_commands` has filled.

    Returns:
        0 when the model is published (or, with --if-missing, was there already), 2 when the input is not usable, 3
        when the quality gate refused the model or it changes what was published, 4 when the models folder cannot be
        written to, 130 when the run was interrupted.
    """
    from training.interrupts import interruptible

    try:
        with interruptible():
            return _run(arguments)
    except PublicationRefusedError as refusal:
        return _failed(str(refusal), REFUSED)
    except PlaceError as error:
        return _failed(f"error: {error}", UNWRITABLE)
    except PermissionError as error:  # of a folder that cannot even be looked into
        return _failed(f"error: {error.filename}: {error.strerror}", UNWRITABLE)
    except TrainingError as error:
        return _failed(f"error: {error}", BAD_INPUT)
    except KeyboardInterrupt as interrupt:
        return _failed(str(interrupt) or "interrupted: the models folder is as it was", INTERRUPTED)


def _run(arguments: argparse.Namespace) -> int:
    check_together(arguments)
    check_training("rich")
    from rich.console import Console

    from training.display import Display

    display = Display(Console())
    options = _publish_options(arguments)
    if arguments.if_missing and (published := versions(options.models, options.name)):
        folder = version_folder(options.models, options.name, published[-1])
        display.note(f"{options.name} is there already: {folder}")
        return PUBLISHED
    check_training("tensorflow", "keras", "matplotlib", "numpy", "pandas", "scipy", "sklearn", "statsmodels")
    if arguments.sweep is not None:
        check_installed("--sweep", "optuna", "sweep")
    if arguments.mlflow_uri is not None:
        check_installed("--mlflow-uri", "mlflow", "mlflow")
    check_place(options.models, options.name)  # now, and not once the model is trained
    # TensorFlow writes pages about the machine otherwise; errors still show
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _train(arguments, options, display)
    return PUBLISHED


def _train(arguments: argparse.Namespace, options: PublishOptions, display: "Display") -> None:
    from training.checkpoints import checkpoints
    from training.device import prepare
    from training.pipeline import publish
    from training.progress import Progress

    arguments = _with_promised_window(arguments, options, display)
    asked = _asked(arguments)
    with (
        _noted(arguments, options.name, asked, display) as noted,
        checkpoints(options, asked, resume=arguments.resume, display=display) as kept,
    ):
        display.step(f"Computing on {prepare()}")
        progress = Progress(display, kept)
        candidate = _candidate(arguments, options, progress)
        if options.export_dtype != "float32":
            from training.narrowed import narrowed

            candidate = narrowed(candidate, options, display)
        if noted is not None:
            noted.measured(candidate.facts, progress.histories)
        published = publish(candidate, options, display)
        if noted is not None:
            noted.published(published)
    display.note(f"Published {published}")


def _with_promised_window(
    arguments: argparse.Namespace, options: PublishOptions, display: "Display"
) -> argparse.Namespace:
    """A sweep that varied the window of a published model would try what must not be published."""
    if arguments.sweep is None or arguments.family != "forecaster" or arguments.window is not None:
        return arguments
    window = promised_window(options)
    if window is None:
        return arguments
    display.note(f"The window stays {window}, as {options.name} is published with; --allow-change would vary it")
    return argparse.Namespace(**{**vars(arguments), "window": window})


def _noted(
    arguments: argparse.Namespace, name: str, asked: Mapping[str, Any], display: "Display"
) -> contextlib.AbstractContextManager["MlflowRun | None"]:
    """The run of MLflow, where one is asked for."""
    uri = arguments.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return contextlib.nullcontext()
    if arguments.mlflow_uri is None and not installed("mlflow"):  # the variable may be meant for other programs
        display.warning(f"MLFLOW_TRACKING_URI is not used: {needs('mlflow', 'mlflow')}")
        return contextlib.nullcontext()
    from training.mlflow_run import mlflow_run

    return mlflow_run(uri, name, asked, display)


def _candidate(arguments: argparse.Namespace, options: PublishOptions, progress: "Progress") -> "Candidate":
    """Trains with the settings that are asked for, or with the best of a sweep."""
    train = _trainer(arguments.family)
    if arguments.sweep is None:
        return train(arguments, options, progress)
    from training.sweep import Settings, Sweep

    def with_settings(settings: Settings, progress: "Progress") -> "Candidate":
        return train(argparse.Namespace(**{**vars(arguments), **settings}), options, progress)

    given = frozenset(name for name, value in vars(arguments).items() if value is not None)
    sweep = Sweep(arguments.family, arguments.sweep, arguments.sweep_minutes, given, arguments.seed)
    best, found = sweep.run(with_settings, progress)
    candidate = with_settings(best, progress)
    return dataclasses.replace(candidate, facts={**candidate.facts, "sweep": found})


def _trainer(family: str) -> Callable[[argparse.Namespace, PublishOptions, "Progress"], "Candidate"]:
    if family == "classifier":
        return _classifier_trainer()
    from training.forecaster.train import train as train_forecaster

    return lambda arguments, options, progress: train_forecaster(forecaster_options(arguments), options, progress)


def _classifier_trainer() -> Callable[[argparse.Namespace, PublishOptions, "Progress"], "Candidate"]:
    """Reads the data once, for all trials of a sweep: none of what is varied says which they are."""
    from training.classifier.train import Prepared, prepare, train

    prepared: list[Prepared] = []

    def trained(arguments: argparse.Namespace, options: PublishOptions, progress: "Progress") -> "Candidate":
        asked = classifier_options(arguments)
        if not prepared:
            prepared.append(prepare(asked, options, progress.display))
        return train(asked, options, progress, prepared[0])

    return trained


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that the training of a run depends on, but for the data: its options, and the releases it is made with."""
    from training.manifest import tool_versions

    options = {
        name if name == "family" else f"--{name.replace('_', '-')}": str(value) if isinstance(value, Path) else value
        for name, value in vars(arguments).items()
        if name not in _OF_PUBLISHING and not callable(value)
    }
    return {**options, **tool_versions()}


def _failed(message: str, code: int) -> int:
    sys.stderr.write(message + "\n")
    return code


def _publish_options(arguments: argparse.Namespace) -> PublishOptions:
    source = Path(arguments.data)
    name = arguments.name
    return PublishOptions(
        models=arguments.models,
        name=checked_model_name(name) if name is not None else model_name_from(source.stem or source.resolve().name),
        force=arguments.force,
        tolerance=arguments.tolerance,
        allow_change=arguments.allow_change,
        export_dtype=arguments.export_dtype,
    )
