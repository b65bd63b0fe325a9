"""The training commands. Nothing heavy is imported before a run really trains."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from training.errors import PublicationRefusedError, TrainingError
from training.naming import checked_model_name, model_name_from
from training.options import ClassifierOptions, ForecasterOptions, PublishOptions
from training.repository import version_folder, versions

if TYPE_CHECKING:
    from training.display import Display

PUBLISHED, BAD_INPUT, REFUSED, INTERRUPTED = 0, 2, 3, 130

_IMAGE_DATA = "digits, mnist, fashion-mnist, cifar10, or a folder with one sub-folder of image files per class"
_SERIES_DATA = "sunspots, co2, elnino, or a CSV file with --column"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Adds the commands `classifier` and `forecaster` to a parser."""
    commands = parser.add_subparsers(dest="family", required=True, metavar="FAMILY")
    _add_classifier(commands.add_parser("classifier", help="a convolutional network for images"))
    _add_forecaster(commands.add_parser("forecaster", help="an LSTM for time series"))


def run(arguments: argparse.Namespace) -> int:
    """Trains, evaluates and publishes a model.

    Args:
        arguments: as parsed by a parser that `add_commands` has filled.

    Returns:
        0 when the model is published (or, with --if-missing, was there already), 2 when the input is not usable, 3
        when the quality gate refused the model, 130 when the run was interrupted.
    """
    from training.interrupts import interruptible

    try:
        with interruptible():
            return _run(arguments)
    except PublicationRefusedError as refusal:
        return _failed(str(refusal), REFUSED)
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

        candidate = train_classifier(_classifier_options(arguments), options.name, display)
    else:
        from training.forecaster.train import train as train_forecaster

        candidate = train_forecaster(_forecaster_options(arguments), options.name, display)
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
    )


def _classifier_options(arguments: argparse.Namespace) -> ClassifierOptions:
    return ClassifierOptions(arguments.data, arguments.seed, arguments.split_seed, arguments.epochs)


def _forecaster_options(arguments: argparse.Namespace) -> ForecasterOptions:
    return ForecasterOptions(
        data=arguments.data,
        columns=tuple(arguments.column),
        time_column=arguments.time_column,
        preset=arguments.preset,
        window=arguments.window,
        horizon=arguments.horizon,
        period=arguments.period,
        seed=arguments.seed,
        epochs=arguments.epochs,
    )


def _add_classifier(parser: argparse.ArgumentParser) -> None:
    parser.description = "Trains a convolutional network, compares it with a support vector machine, and publishes it."
    parser.add_argument("--data", default="digits", metavar="DATA", help=f"{_IMAGE_DATA} (default: digits)")
    parser.add_argument(
        "--split-seed",
        type=_count,
        default=0,
        metavar="N",
        help="decides which images are held out for the test (default: 0)",
    )
    _add_common(
        parser,
        tolerance=0.01,
        tolerance_help="by how much its accuracy may be lower than the published version's (default: 0.01)",
    )


def _add_forecaster(parser: argparse.ArgumentParser) -> None:
    parser.description = "Trains an LSTM, compares it with persistence, seasonal naive and AR, and publishes it."
    parser.add_argument("--data", default="sunspots", metavar="DATA", help=f"{_SERIES_DATA} (default: sunspots)")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="a column of the CSV file; repeated, the first is forecast and the others help",
    )
    parser.add_argument(
        "--time-column", metavar="NAME", help="the column that says when; checked for order and gaps (default: none)"
    )
    parser.add_argument(
        "--preset",
        choices=("quantile", "plain"),
        default="quantile",
        help="quantile: the whole horizon at once, with intervals; plain: LSTM(50, relu), one step after the other "
        "(default: quantile)",
    )
    parser.add_argument(
        "--window",
        type=_positive,
        metavar="STEPS",
        help="how much of the past the model sees (default: 10 for plain, else what suits the data set)",
    )
    parser.add_argument(
        "--horizon", type=_positive, default=10, metavar="STEPS", help="how far it forecasts (default: 10)"
    )
    parser.add_argument(
        "--period",
        type=_positive,
        metavar="STEPS",
        help="steps in a season, for the seasonal naive forecast (default: the data set's, or by the time column)",
    )
    _add_common(
        parser,
        tolerance=0.05,
        tolerance_help="by what share its error may be above the published version's (default: 0.05)",
    )


def _add_common(parser: argparse.ArgumentParser, *, tolerance: float, tolerance_help: str) -> None:
    parser.add_argument(
        "--models", type=Path, default=Path("models"), metavar="DIR", help="the models folder (default: models)"
    )
    parser.add_argument("--name", metavar="NAME", help="the model's name (default: that of the data)")
    parser.add_argument("--seed", type=_count, default=0, metavar="N", help="makes the run repeatable (default: 0)")
    parser.add_argument(
        "--epochs", type=_positive, metavar="N", help="the most passes over the data (default: what suits the data)"
    )
    parser.add_argument("--tolerance", type=_share, default=tolerance, metavar="X", help=tolerance_help)
    parser.add_argument(
        "--force", action="store_true", help="publish even a model that the quality gate refuses; its card says so"
    )
    parser.add_argument(
        "--if-missing", action="store_true", help="do nothing when the model has a published version already"
    )


def _count(text: str) -> int:
    """A whole number that serves as a seed."""
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"expected 0 to {2**32 - 1}, got {text}")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text}")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text}")
    return value
