"""``tensorgate keys``: adds API keys to the access file, lists them, and takes them back."""

import argparse
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.access.key_file import add_key, read_document, remove_key
from service.access.keys import new_key
from service.access.policy import KeyEntry
from service.core.rights import ACTIONS
from service.errors import ErrorKind, GatewayError
from service.validation import validated

FAILED = 1
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_ACTIONS = ", ".join(ACTIONS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate keys``."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add = commands.add_parser("add", help="make a key, which is shown this once", description="Makes a key.")
    add.add_argument("name", metavar="NAME", help="who is to have it; several keys may be of one")
    add.add_argument(
        "--models", type=_names, required=True, metavar="GLOB,...", help="such as 'digits*', or '*' for all"
    )
    add.add_argument(
        "--actions", type=_names, default=["infer", "read"], metavar="A,...", help=f"of {_ACTIONS} [infer,read]"
    )
    add.add_argument("--expires", type=_span, metavar="TIME", help="after which it ends: 90d, 12h or 30m [never]")
    add.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the key to a new file that its owner alone can read, instead of printing it",
    )
    _finish(add, _add)
    _finish(commands.add_parser("list", help="list the keys", description="Lists the keys, without secrets."), _list)
    revoke = commands.add_parser("revoke", help="take a key back", description="Takes a key back.")
    revoke.add_argument("id", metavar="ID", help="of the key, as list shows it")
    _finish(revoke, _revoke)


def _finish(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        default=os.environ.get("TENSORGATE_ACCESS_FILE") or "access.toml",
        help="the access file [TENSORGATE_ACCESS_FILE; access.toml]",
    )
    parser.set_defaults(run=lambda options: _run(run, options), usage=parser.format_usage)


def _run(run: object, options: argparse.Namespace) -> int:
    try:
        run(options)  # type: ignore[operator]
    except GatewayError as error:
        sys.stderr.write(f"tensorgate: {error.message}\n")
        return FAILED
    return 0


def _add(options: argparse.Namespace) -> None:
    key, now = new_key(), datetime.now(UTC).replace(microsecond=0)
    entry = validated(
        KeyEntry,
        {
            "id": key.id,
            "name": options.name,
            "sha256": key.digest.hex(),
            "models": options.models,
            "actions": options.actions,
            "created": now,
            "expires": None if options.expires is None else now + options.expires,
        },
    )
    if options.output is None:
        add_key(options.file, entry)
        sys.stdout.write(f"{key.text}\n")
    else:
        _write_secret(options.output, f"{key.text}\n")
        try:
            add_key(options.file, entry)
        except GatewayError:
            options.output.unlink()  # nobody knows this key
            raise
    shown = "shown" if options.output is None else f"written, to {options.output},"
    sys.stderr.write(f"The key is {shown} this once: {options.file} has no more than a digest of it.\n")


def _write_secret(path: Path, text: str) -> None:
    """Writes a file that was not there, which its owner alone can read from the first moment.

    Raises:
        GatewayError: When there is one, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        text = f"--output {path}: expected a file that is not there yet, as it would be replaced"
        raise GatewayError(ErrorKind.FAILED_PRECONDITION, text) from None
    except OSError as error:
        raise GatewayError(ErrorKind.FAILED_PRECONDITION, f"--output {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


def _list(options: argparse.Namespace) -> None:
    table = Table("Id", "Name", "Models", "Actions", "Created", "Expires")
    now = datetime.now(UTC)
    for entry in read_document(options.file).keys:
        ended = ", has expired" if entry.expires is not None and entry.expires <= now else ""
        cells = (entry.id, entry.name, ", ".join(entry.models), ", ".join(entry.actions), _shown(entry.created))
        table.add_row(*map(Text, cells), Text(_shown(entry.expires) + ended))
    # A pipe has no width: there, a table is as wide as its content.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _revoke(options: argparse.Namespace) -> None:
    entry = remove_key(options.file, options.id)
    sys.stdout.write(f"key {entry.id} of {entry.name} is taken back\n")


def _shown(time: datetime | None) -> str:
    return "never" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _names(text: str) -> list[str]:
    return [name for part in text.split(",") if (name := part.strip())]


def _span(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([dhm])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a number of days, hours or minutes (90d, 12h, 30m), got {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
