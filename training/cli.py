"""The training commands. Nothing heavy is imported before a run really trains."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from training.arguments import add_commands, classifier_options, forecaster_options
from training.errors import PlaceError, PublicationRefusedError, TrainingError
from training.naming import checked_model_name, model_name_from
from training.options import PublishOptions
from training.repository import check_place, version_folder, versions

if TYPE_CHECKING:
    from training.display import Display

__all__ = ["BAD_INPUT", "INTERRUPTED", "PUBLISHED", "REFUSED", "UNWRITABLE", "add_commands", "run"]

PUBLISHED, BAD_INPUT, REFUSED, UNWRITABLE, INTERRUPTED = 0, 2, 3, 4, 130


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
    except KeyboardInterrupt:
        return _failed("interrupted: the models folder is as it was", INTERRUPTED)


def _run(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from training.display import Display

    display = Display(Console())
    options = _publish_options(arguments)
    if arguments.if_missing and (published := versions(options.models, options.name)):
        folder = version_folder(options.models, options.name, published[-1])
        display.note(f"{options.name} is there already: {folder}")
        return PUBLISHED
    check_place(options.models, options.name)  # now, and not once the model is trained
    # TensorFlow writes pages about the machine otherwise; errors still show
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _train(arguments, options, display)
    return PUBLISHED


def _train(arguments: argparse.Namespace, options: PublishOptions, display: "Display") -> None:
    from training.device import prepare
    from training.pipeline import publish

    display.step(f"Computing on {prepare()}")
    if arguments.family == "classifier":
        from training.classifier.train import train as train_classifier

        candidate = train_classifier(classifier_options(arguments), options, display)
    else:
        from training.forecaster.train import train as train_forecaster

        candidate = train_forecaster(forecaster_options(arguments), options, display)
    display.note(f"Published {publish(candidate, options, display)}")


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
    )
