"""``tensorgate forecast``: has a running server forecast a series from a CSV file."""

import argparse
import csv
import math
from pathlib import Path

from service.commands.client import CommandError, add_common, add_model, model_name, table
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate forecast``."""
    parser.add_argument(
        "file", type=Path, metavar="FILE.csv", help="one row a step, the newest last, with a header row"
    )
    parser.add_argument(
        "--column",
        action="append",
        metavar="NAME",
        help="column to forecast, needed where there are more than two; then the model's other features in order",
    )
    parser.add_argument(
        "--horizon", type=int, metavar="STEPS", help="steps to forecast; all that the model gives by default"
    )
    add_model(parser)
    add_common(parser, _call_forecast)


def _call_forecast(client: Client, options: argparse.Namespace) -> None:
    columns, values = _read_columns(options.file, options.column)
    request = pb.ForecastRequest(
        model=model_name(client, options, "forecaster"),
        version=options.model_version,
        label=options.model_label,
        series=[pb.Series(values=values, features=len(columns))],
        horizon=options.horizon,
    )
    answer = client.call("Forecast", request)
    forecast = answer.forecasts[0]
    levels = [f"{quantile.level:.1%}" for quantile in forecast.quantiles]
    with table(answer, options, "Step", "Forecast", *levels) as add_row:
        for step, value in enumerate(forecast.values):
            quantiles = [f"{quantile.values[step]:.2f}" for quantile in forecast.quantiles]
            add_row(f"+{step + 1}", f"{value:.2f}", *quantiles)


def _read_columns(file: Path, columns: list[str] | None) -> tuple[list[str], list[float]]:
    """Returns names and values of the columns, the values of a row together.

    Without names it is the last column, where there is at most one before it: of times, as a rule.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            header = list(reader.fieldnames or [])
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{file} cannot be read: {error}") from None
    if not header:
        raise CommandError(f"{file}: expected a header row and rows of numbers, got an empty file")
    if columns is None and len(header) > 2:
        raise CommandError(f"give --column: {file} has the columns {', '.join(header)}")
    wanted = columns or header[-1:]
    for column in wanted:
        if column not in header:
            raise CommandError(f"{file}: expected a column {column!r}, got the columns {', '.join(header)}")
    values = [
        _number(row[column], f"{file}, row {index}, column {column!r}")
        for index, row in enumerate(rows, start=2)
        for column in wanted
    ]
    return wanted, values


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CommandError(f"{where}: expected a finite number, got {text!r}")
    return value
