"""The sub-commands that ask a running server over gRPC, and print its answer as a table or as JSON."""

import argparse
import csv
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub

FAILED = 1
_DEFAULT_ADDRESS = "127.0.0.1:8001"
_STATUS_DETAILS = "grpc-status-details-bin"


class QuestionError(Exception):
    """The question could not be asked; the message says why."""


def add_models(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate models``."""
    _add_common(parser, _ask_models)


def add_label(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate label``."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")
    parser.add_argument("label", metavar="LABEL", help="such as stable")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("version", nargs="?", type=int, metavar="VERSION", help="which is to bear the label")
    what.add_argument("--remove", action="store_true", help="take the label away")
    _add_common(parser, _ask_label)


def add_classify(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate classify``."""
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="PNG, JPEG, GIF or BMP file")
    parser.add_argument("--top-k", type=int, default=3, metavar="K", help="classes to show for each image [3]")
    _add_model(parser)
    _add_common(parser, _ask_classify)


def add_forecast(parser: argparse.ArgumentParser) -> None:
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
    _add_model(parser)
    _add_common(parser, _ask_forecast)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="needed where several would do")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model-version", type=int, metavar="N", help="the newest by default")
    which.add_argument("--model-label", metavar="LABEL", help="the version that bears it")


def _add_common(
    parser: argparse.ArgumentParser, ask: Callable[[TensorgateServiceStub, argparse.Namespace], None]
) -> None:
    parser.add_argument(
        "--address",
        default=os.environ.get("TENSORGATE_ADDRESS") or _DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help=f"of the server's gRPC [TENSORGATE_ADDRESS; {_DEFAULT_ADDRESS}]",
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for each call [30]")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=lambda options: _run(ask, options))


def _run(ask: Callable[[TensorgateServiceStub, argparse.Namespace], None], options: argparse.Namespace) -> int:
    unlimited = [("grpc.max_receive_message_length", -1)]
    try:
        with grpc.insecure_channel(options.address, options=unlimited) as channel:
            ask(TensorgateServiceStub(channel), options)  # type: ignore[no-untyped-call]  # generated without types
    except (QuestionError, ValueError) as error:  # the second where a message cannot hold what was asked
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    except grpc.RpcError as error:
        sys.stderr.write(f"tensorgate: {_explained(error, options.address)}\n")
        return FAILED
    return 0


def _explained(error: Any, address: str) -> str:
    if error.code() is grpc.StatusCode.UNAVAILABLE and not _details(error):
        return f"no server answers at {address}; start one with: tensorgate serve"
    lines = [f"{error.code().name}: {error.details()}"]
    for detail in _details(error):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            lines += [f"  {violation.field}: {violation.description}" for violation in bad.field_violations]
    return "\n".join(lines if len(lines) > 2 else lines[:1])


def _details(error: Any) -> list[Any]:
    for name, value in error.trailing_metadata() or ():
        if name == _STATUS_DETAILS:
            return list(status_pb2.Status.FromString(value).details)
    return []


def _ask_models(stub: TensorgateServiceStub, options: argparse.Namespace) -> None:
    answer = stub.ListModels(pb.ListModelsRequest(), timeout=options.timeout)
    _show_models(answer, list(answer.models), options)


def _ask_label(stub: TensorgateServiceStub, options: argparse.Namespace) -> None:
    if options.remove:
        removal = pb.DeleteLabelRequest(model=options.model, label=options.label)
        answer = stub.DeleteLabel(removal, timeout=options.timeout)
    else:
        request = pb.SetLabelRequest(model=options.model, label=options.label, version=options.version)
        answer = stub.SetLabel(request, timeout=options.timeout)
    _show_models(answer, [answer.model], options)


def _show_models(answer: Message, models: list[pb.Model], options: argparse.Namespace) -> None:
    with _table(answer, options, "Model", "Version", "Labels", "State", "Kind", "Takes", "Gives") as add_row:
        for model in models:
            for version in model.versions:
                labels = ", ".join(sorted(label for label, number in model.labels.items() if number == version.version))
                takes, gives = _takes_and_gives(version)
                add_row(model.name, str(version.version), labels, version.state, version.kind, takes, gives)


def _takes_and_gives(version: pb.ModelVersion) -> tuple[str, str]:
    match version.WhichOneof("task"):
        case "image_classifier":
            task = version.image_classifier
            files = ", files" if task.accepts_encoded else ""
            return f"{task.height} x {task.width} x {task.channels} pixels{files}", f"{len(task.labels)} classes"
        case "forecaster":
            forecaster = version.forecaster
            levels = ", ".join(f"{level:g}" for level in forecaster.quantile_levels)
            return (
                f"{forecaster.window} steps" + (f" of {forecaster.features}" if forecaster.features > 1 else ""),
                f"{forecaster.horizon} steps, quantiles {levels}",
            )
        case _:
            return version.error or ", ".join(signature.name for signature in version.signatures), ""


def _ask_classify(stub: TensorgateServiceStub, options: argparse.Namespace) -> None:
    request = pb.ClassifyRequest(
        model=_model(stub, options, "image_classifier"),
        version=options.model_version,
        label=options.model_label,
        images=[pb.Image(encoded=_read(file)) for file in options.images],
        top_k=options.top_k,
    )
    answer = stub.Classify(request, timeout=options.timeout)
    with _table(answer, options, "Image", "Class", "Score") as add_row:
        for file, result in zip(options.images, answer.results, strict=True):
            for rank, scored in enumerate(result.classes):
                add_row("" if rank else str(file), scored.label, f"{scored.score:.4f}")


def _ask_forecast(stub: TensorgateServiceStub, options: argparse.Namespace) -> None:
    columns, values = _read_columns(options.file, options.column)
    request = pb.ForecastRequest(
        model=_model(stub, options, "forecaster"),
        version=options.model_version,
        label=options.model_label,
        series=[pb.Series(values=values, features=len(columns))],
        horizon=options.horizon,
    )
    answer = stub.Forecast(request, timeout=options.timeout)
    forecast = answer.forecasts[0]
    levels = [f"{quantile.level:.1%}" for quantile in forecast.quantiles]
    with _table(answer, options, "Step", "Forecast", *levels) as add_row:
        for step, value in enumerate(forecast.values):
            quantiles = [f"{quantile.values[step]:.2f}" for quantile in forecast.quantiles]
            add_row(f"+{step + 1}", f"{value:.2f}", *quantiles)


def _model(stub: TensorgateServiceStub, options: argparse.Namespace, kind: str) -> str:
    """Returns the model that was named, or else the only one of that kind."""
    if options.model:
        return str(options.model)
    answer = stub.ListModels(pb.ListModelsRequest(), timeout=options.timeout)
    names = [model.name for model in answer.models if any(version.kind == kind for version in model.versions)]
    if len(names) == 1:
        return str(names[0])
    known = ", ".join(names) or "none"
    raise QuestionError(f"give --model: the server's models of kind {kind} are: {known}")


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise QuestionError(f"{file} cannot be read: {error.strerror}") from None


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
        raise QuestionError(f"{file} cannot be read: {error}") from None
    if not header:
        raise QuestionError(f"{file}: expected a header row and rows of numbers, got an empty file")
    if columns is None and len(header) > 2:
        raise QuestionError(f"give --column: {file} has the columns {', '.join(header)}")
    wanted = columns or header[-1:]
    for column in wanted:
        if column not in header:
            raise QuestionError(f"{file}: expected a column {column!r}, got the columns {', '.join(header)}")
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
        raise QuestionError(f"{where}: expected a finite number, got {text!r}")
    return value


@contextmanager
def _table(answer: Message, options: argparse.Namespace, *columns: str) -> Iterator[Callable[..., None]]:
    """Prints the rows that the body adds; or the answer as JSON, if that was asked for."""
    table = Table(*columns)
    yield lambda *cells: table.add_row(*map(Text, cells))  # as text, whatever brackets are in it
    if options.json:
        sys.stdout.write(MessageToJson(answer, preserving_proto_field_name=True) + "\n")
    else:
        # A pipe has no width: there, a table is as wide as its content.
        Console(width=None if sys.stdout.isatty() else 200).print(table)
