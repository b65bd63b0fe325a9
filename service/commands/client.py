"""What the sub-commands share that call a running server over gRPC: address, errors, tables."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.commands.tls import add_tls, tls_of
from service.replay.credentials import VARIABLE, KeyFileError, key_in
from service.replay.target import TargetError
from tensorgate.client import Client, TensorgateError, Tls, Unauthenticated, Unavailable

FAILED = 1
_DEFAULT_ADDRESS = "127.0.0.1:8001"
KEY_HELP = f"file of the key or token to show, where the server asks for one [{VARIABLE} has the key itself]"


class CommandError(Exception):
    """The command failed; the message says why."""


def add_common(parser: argparse.ArgumentParser, call: Callable[[Client, argparse.Namespace], None]) -> None:
    """Adds the options of every command that calls a server.

    Args:
        parser: Of the command.
        call: Calls the server, and prints what it answers.
    """
    parser.add_argument(
        "--address",
        default=os.environ.get("TENSORGATE_ADDRESS") or _DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help=f"of the server's gRPC; grpcs://HOST:PORT with TLS [TENSORGATE_ADDRESS; {_DEFAULT_ADDRESS}]",
    )
    add_tls(parser)
    parser.add_argument("--key-file", type=Path, metavar="FILE", help=KEY_HELP)
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for each call [30]")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.set_defaults(run=lambda options: _run(call, options))


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds the options that choose a model."""
    parser.add_argument("--model", metavar="NAME", help="needed where several would do")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model-version", type=int, metavar="N", help="the newest by default")
    which.add_argument("--model-label", metavar="LABEL", help="the version that bears it")


def _run(call: Callable[[Client, argparse.Namespace], None], options: argparse.Namespace) -> int:
    try:
        address = options.address.removeprefix("grpc://").removeprefix("grpcs://")
        key = key_in(options.key_file) or None
        with Client(address, key=key, tls=_tls(options), timeout=options.timeout) as client:
            call(client, options)
    except (CommandError, KeyFileError, TargetError, ValueError) as error:  # the last where a message cannot hold them
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    except TensorgateError as error:
        sys.stderr.write(f"tensorgate: {_explained(error, options)}\n")
        return FAILED
    return 0


def _tls(options: argparse.Namespace) -> Tls | bool:
    if not _speaks_tls(options):
        return False
    files = tls_of(options)
    files.context()  # gRPC itself would take anything, and complain at each call
    return Tls(files.ca, files.certificate, files.key)


def _speaks_tls(options: argparse.Namespace) -> bool:
    plain = options.tls_ca is None or options.address.startswith("grpc://")
    return not plain or options.address.startswith("grpcs://")


def _explained(error: TensorgateError, options: argparse.Namespace) -> str:
    if isinstance(error, Unavailable) and not error.request_id:
        if _speaks_tls(options):
            reason = error.message.partition(": ")[2]
            return f"no server answers at {options.address} with TLS and these certificates: {reason}"
        if "onnection refused" not in error.message:
            return error.message
        return f"no server answers at {options.address}; start one with: tensorgate serve"
    hint = f"; give a key by --key-file or {VARIABLE}" if isinstance(error, Unauthenticated) else ""
    return f"{error}{hint}" if error.status is None else f"{error.status.name}: {error}{hint}"


def model_name(client: Client, options: argparse.Namespace, kind: str) -> str:
    """Returns the model that was named, or else the only one of that kind."""
    if options.model:
        return str(options.model)
    names = [model.name for model in client.models() if any(version.kind == kind for version in model.versions)]
    if len(names) == 1:
        return names[0]
    known = ", ".join(names) or "none"
    raise CommandError(f"give --model: the server's models of kind {kind} are: {known}")


@contextmanager
def table(answer: Message, options: argparse.Namespace, *columns: str) -> Iterator[Callable[..., None]]:
    """Prints the rows that the body adds; or the answer as JSON, if that was requested."""
    table = Table(*columns)
    yield lambda *cells: table.add_row(*map(Text, cells))  # as text, whatever brackets are in it
    if options.json:
        text = MessageToJson(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        sys.stdout.write(text + "\n")  # with what is zero, too: version 0 is one
    else:
        # A pipe has no width: there, a table is as wide as its content.
        Console(width=None if sys.stdout.isatty() else 200).print(table)
