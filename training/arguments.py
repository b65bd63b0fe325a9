"""The options of the training commands."""

import argparse
from pathlib import Path

from series_files.reading import add_reading, reading_of
from training.errors import TrainingError
from training.options import ARCHITECTURES, MOST_BROKEN, ClassifierOptions, ForecasterOptions

_IMAGE_DATA = "digits, mnist, fashion-mnist, cifar10, or a folder with one sub-folder of image files per class"
_SERIES_DATA = "sunspots, co2, elnino, or a CSV, Excel or Parquet file with --column"


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Adds the commands `classifier` and `forecaster` to a parser."""
    commands = parser.add_subparsers(dest="family", required=True, metavar="FAMILY")
    _add_classifier(commands.add_parser("classifier", help="a convolutional network for images"))
    _add_forecaster(commands.add_parser("forecaster", help="an LSTM for time series"))


def check_together(arguments: argparse.Namespace) -> None:
    """Refuses an option that means nothing without another one.

    Raises:
        TrainingError: the other one is not given.
    """
    for option, other in (("architecture", "weights"), ("sweep_minutes", "sweep")):
        if getattr(arguments, option, None) is not None and getattr(arguments, other) is None:
            name = option.replace("_", "-")
            raise TrainingError(f"--{name}: expected --{other} with it, without which it means nothing; got none")


def classifier_options(arguments: argparse.Namespace) -> ClassifierOptions:
    """What a parsed command line asks for."""
    return ClassifierOptions(
        data=arguments.data,
        seed=arguments.seed,
        split_seed=arguments.split_seed,
        epochs=arguments.epochs,
        most_broken=arguments.max_broken,
        preset=arguments.preset,
        weights=arguments.weights,
        architecture=arguments.architecture,
        learning_rate=arguments.learning_rate,
    )


def forecaster_options(arguments: argparse.Namespace) -> ForecasterOptions:
    """What a parsed command line asks for."""
    return ForecasterOptions(
        data=arguments.data,
        reading=reading_of(arguments, arguments.column),
        preset=arguments.preset,
        window=arguments.window,
        horizon=arguments.horizon,
        period=arguments.period,
        seed=arguments.seed,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
    )


def _add_classifier(parser: argparse.ArgumentParser) -> None:
    parser.description = "Trains a convolutional network, compares it with a support vector machine, and publishes it."
    parser.add_argument("--data", default="digits", metavar="DATA", help=f"{_IMAGE_DATA} (default: digits)")
    network = parser.add_mutually_exclusive_group()
    network.add_argument(
        "--preset",
        choices=("small", "residual"),
        help="the network: small suits images of up to 32 pixels, residual larger ones (default: by their size)",
    )
    network.add_argument(
        "--weights",
        metavar="FILE",
        help="weights of a network of keras.applications without its top, on which only the classes are trained",
    )
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        metavar="NAME",
        help=f"of --weights: {', '.join(ARCHITECTURES)} (default: by the name of the file)",
    )
    parser.add_argument(
        "--split-seed",
        type=_count,
        default=0,
        metavar="N",
        help="decides which images are held out for the test (default: 0)",
    )
    parser.add_argument(
        "--max-broken",
        type=_share,
        default=MOST_BROKEN,
        metavar="X",
        help=f"which share of a folder's files may be unreadable; they are left out (default: {MOST_BROKEN})",
    )
    _add_common(
        parser,
        tolerance=0.01,
        tolerance_help="by how much its balanced error rate may be above the published version's (default: 0.01)",
    )


def _add_forecaster(parser: argparse.ArgumentParser) -> None:
    parser.description = "Trains an LSTM, compares it with persistence, seasonal naive and AR, and publishes it."
    parser.add_argument("--data", default="sunspots", metavar="DATA", help=f"{_SERIES_DATA} (default: sunspots)")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="a column of the file; repeated, the first is forecast and the others help",
    )
    add_reading(parser, time_default="none, but a column that looks like times is asked for")
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
        help="how much of the past the model sees (default: the published version's; for the first, 10 for "
        "plain, else what suits the series)",
    )
    parser.add_argument(
        "--horizon", type=_positive, default=10, metavar="STEPS", help="how far it forecasts (default: 10)"
    )
    parser.add_argument(
        "--period",
        type=_positive,
        metavar="STEPS",
        help="steps in a season, which the forecasts and the default window follow (default: the data set's, or by the "
        "time column)",
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
    parser.add_argument(
        "--learning-rate", type=_rate, metavar="X", help="the greatest learning rate (default: what suits the model)"
    )
    _add_sweep(parser)
    _add_mlflow(parser)
    parser.add_argument("--tolerance", type=_share, default=tolerance, metavar="X", help=tolerance_help)
    parser.add_argument(
        "--force", action="store_true", help="publish even a model that the quality gate refuses; its card says so"
    )
    parser.add_argument(
        "--allow-change",
        action="store_true",
        help="publish even a model of another kind, or with another size, other columns, window, horizon or classes "
        "than the published version of its name",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the run of the same name and options that was interrupted, if there is one",
    )
    parser.add_argument(
        "--export-dtype",
        choices=("float32", "float16", "int8"),
        default="float32",
        help="store the weights in fewer bits than the model computes with; the report has what that costs and gains "
        "(default: float32)",
    )
    parser.add_argument(
        "--if-missing", action="store_true", help="do nothing when the model has a published version already"
    )


def _add_mlflow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mlflow-uri",
        metavar="URI",
        help="note the run in MLflow: a server, or a folder as file:///path (default: MLFLOW_TRACKING_URI, else none)",
    )


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sweep",
        type=_positive,
        metavar="N",
        help="try N settings of those that are not given, and train with the best on the validation part",
    )
    parser.add_argument(
        "--sweep-minutes", type=_rate, metavar="X", help="begin no trial after X minutes (default: no limit)"
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


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return value
