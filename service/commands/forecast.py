"""``tensorgate forecast``: has a running server forecast a series from a file."""

import argparse
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from series_files.errors import TableError
from series_files.reading import Reading, add_reading, reading_of
from series_files.sheet import Sheet, read_sheet
from series_files.table import Table, table_of
from series_files.times import looks_like_times
from service.commands.client import CommandError, add_common, add_model, model_name, table
from tensorgate.client import Client
from tensorgate.v1 import tensorgate_pb2 as pb


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate forecast``."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="CSV, Excel or Parquet, one row a step; its first row names the columns"
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
    add_reading(parser, time_default="the column that looks like times, if one does")
    add_model(parser)
    add_common(parser, _call_forecast)


def _call_forecast(client: Client, options: argparse.Namespace) -> None:
    series = _read(options.file, reading_of(options, options.column or ()))
    sys.stderr.writelines(f"{options.file}: {note}\n" for note in series.notes)
    request = pb.ForecastRequest(
        model=model_name(client, options, "forecaster"),
        version=options.model_version,
        label=options.model_label,
        series=[pb.Series(values=series.values.ravel(), features=len(series.columns))],
        horizon=options.horizon,
    )
    answer = client.call("Forecast", request)
    forecast = answer.forecasts[0]
    levels = [f"{quantile.level:.1%}" for quantile in forecast.quantiles]
    with table(answer, options, "Step", "Forecast", *levels) as add_row:
        for step, value in enumerate(forecast.values):
            quantiles = [_shown(quantile.values[step]) for quantile in forecast.quantiles]
            add_row(f"+{step + 1}", _shown(value), *quantiles)


def _shown(value: float) -> str:
    """Returns six significant digits, without an exponent."""
    return f"{Decimal(f'{value:.6g}'):f}"


def _read(file: Path, reading: Reading) -> Table:
    """Returns the columns to forecast from; see `_completed` for what was not said."""
    try:
        sheet = read_sheet(file, reading)
        return table_of(sheet, _completed(reading, sheet))
    except TableError as error:
        raise CommandError(str(error)) from None


def _completed(reading: Reading, sheet: Sheet) -> Reading:
    """Without names it is the last column, where there is at most one before it; and for times what looks like them."""
    if not reading.columns:
        if len(sheet.header) > 2:
            raise CommandError(f"give --column: {sheet.path} has the columns {', '.join(sheet.header)}")
        reading = replace(reading, columns=sheet.header[-1:])
    if reading.time_column is None:
        others = [position for position, name in enumerate(sheet.header) if name not in reading.columns]
        times = [sheet.header[position] for position in others if looks_like_times(sheet.texts(position))]
        reading = replace(reading, time_column=times[0] if len(times) == 1 else None)
    return reading
