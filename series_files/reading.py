"""What is said of how a file of series is read, and the options that say it."""

import argparse
import codecs
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file of series is read; what is None is found out.

    Attributes:
        columns: the columns to read; the first is the one forecast.
        time_column: the column that says when; `none` for rows that are in order and evenly spaced.
        series: the name of the series to take, of a file with several; or COLUMN=NAME.
        fill: what a step without a value gets: `last`, `linear`, `zero`, or `none` to refuse it.
        date_format: of the times, as in `datetime.strptime`.
        time_zone: of times that have none, as in "Europe/Berlin".
        decimal: the decimal sign, `.` or `,`.
        delimiter: between fields.
        encoding: of the text.
    """

    columns: tuple[str, ...] = ()
    time_column: str | None = None
    series: str | None = None
    fill: str | None = None
    date_format: str | None = None
    time_zone: str | None = None
    decimal: str | None = None
    delimiter: str | None = None
    encoding: str | None = None


def add_reading(parser: argparse.ArgumentParser, *, time_default: str) -> None:
    """Adds the options that say how a file is to be read.

    Args:
        parser: Of the command.
        time_default: What is done without a column of times, for the help.
    """
    parser.add_argument(
        "--time-column",
        metavar="NAME",
        help="the column that says when; rows are sorted by it and gaps are filled; none: rows are evenly spaced "
        f"already, oldest first (default: {time_default})",
    )
    parser.add_argument("--series", metavar="NAME", help="of a file with several series the one to take; COLUMN=NAME")
    parser.add_argument(
        "--fill",
        choices=("last", "linear", "zero", "none"),
        help="what a step without a value gets; none refuses it (default: last, for at most one step in ten)",
    )
    parser.add_argument("--date-format", metavar="FORMAT", help="of times, as in %%d/%%m/%%Y (default: found out)")
    parser.add_argument("--time-zone", metavar="ZONE", help="of times without one, as in Europe/Berlin (default: UTC)")
    parser.add_argument("--decimal", choices=(".", ","), help="the decimal sign (default: found out)")
    parser.add_argument(
        "--delimiter", type=_delimiter, metavar="CHAR", help="between fields; tab for a tab (default: found out)"
    )
    parser.add_argument(
        "--encoding", type=_encoding, metavar="NAME", help="of the text (default: UTF-8, unless it is another)"
    )


def reading_of(arguments: argparse.Namespace, columns: Sequence[str]) -> Reading:
    """What a parsed command line says of some columns."""
    return Reading(
        columns=tuple(columns),
        time_column=arguments.time_column,
        series=arguments.series,
        fill=arguments.fill,
        date_format=arguments.date_format,
        time_zone=arguments.time_zone,
        decimal=arguments.decimal,
        delimiter=arguments.delimiter,
        encoding=arguments.encoding,
    )


def _delimiter(text: str) -> str:
    character = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(character) != 1 or character in '"\r\n':
        raise argparse.ArgumentTypeError(f"expected one character, or tab, got {text!r}")
    return character


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError as error:
        raise argparse.ArgumentTypeError(f"expected an encoding that Python knows, got {text!r}") from error
