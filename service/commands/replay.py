"""``tensorgate replay``: sends recorded requests to a server, and compares its answers."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from service.commands.client import KEY_HELP
from service.commands.tls import add_tls, tls_of
from service.replay.compare import Tolerance
from service.replay.connect import AUTO, OPEN_INFERENCE, TFSERVING, connect
from service.replay.credentials import Credentials, KeyFileError, key_in
from service.replay.report import Report, Verdict, place
from service.replay.run import Pace, Replay
from service.replay.source import Entry, entries, files_of
from service.replay.target import Aim, Target, TargetError

FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``tensorgate replay``."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE|DIR",
        help="TFRecords of PredictionLogs, such as a warm-up file, or JSON lines of a request log; or folders of them",
    )
    parser.add_argument(
        "--against",
        required=True,
        metavar="URL",
        help="the server to ask: http://host:8000 for REST, grpc://host:8001 for gRPC; https and grpcs with TLS",
    )
    parser.add_argument(
        "--baseline", metavar="URL", help="a server whose answers are expected, in place of the recorded ones"
    )
    parser.add_argument("--key-file", type=Path, metavar="FILE", help=KEY_HELP)
    parser.add_argument(
        "--baseline-key-file", type=Path, metavar="FILE", help="the same for the baseline, which is shown no other key"
    )
    parser.add_argument(
        "--protocol",
        choices=(AUTO, TFSERVING, OPEN_INFERENCE),
        default=AUTO,
        help="that both speak; auto asks each, for TensorFlow Serving's first [auto]",
    )
    parser.add_argument("--model", metavar="NAME", help="model to ask, in place of the recorded one")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model-version", type=int, metavar="N", help="version to ask; the server's choice by default")
    which.add_argument("--model-label", metavar="LABEL", help="version to ask, by its label")
    parser.add_argument("--baseline-version", type=int, metavar="N", help="version that the baseline is asked for")
    parser.add_argument(
        "--rtol", type=_tolerance, default=1e-5, metavar="R", help="floats may be apart by a + r * expected: r [1e-5]"
    )
    parser.add_argument("--atol", type=_tolerance, default=1e-6, metavar="A", help="and a [1e-6]")
    parser.add_argument("--concurrency", type=_count, default=4, metavar="N", help="requests sent at a time [4]")
    parser.add_argument("--rate", type=_rate, metavar="N", help="requests a second, at most")
    parser.add_argument("--limit", type=_count, metavar="N", help="requests in all, at most")
    parser.add_argument("--timeout", type=_rate, default=30.0, metavar="SECONDS", help="for each answer [30]")
    add_tls(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        files, incomplete = files_of(options.files)
    except OSError as error:
        return _failed(f"{error.filename} cannot be read: {error.strerror}")
    for file in incomplete:
        sys.stderr.write(f"tensorgate: {file} is left out: it is still being written, or was left by a server\n")
    try:
        read: Iterator[Entry] = chain.from_iterable(entries(file) for file in files)
        first, read = _first_record(read)
        if first is None:
            return _failed("there is no request in " + ", ".join(map(str, options.files)))
        report = _replayed(options, files, first, read)
    except (TargetError, KeyFileError, ValueError) as error:  # the second where a message cannot hold the arguments
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or 'a file'} cannot be read: {error.strerror}")
    if options.json:
        sys.stdout.write(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        # A pipe has no width: there, a table is as wide as its content.
        _show(report, Console(width=None if sys.stdout.isatty() else 200))
    return 0 if report.passed else FAILED


def _first_record(read: Iterator[Entry]) -> tuple[Entry | None, Iterator[Entry]]:
    """Returns the first entry that is a request, and all of them."""
    before: list[Entry] = []
    for entry in read:
        before.append(entry)
        if entry.record is not None:
            return entry, chain(before, read)
    return None, iter(before)


def _replayed(options: argparse.Namespace, files: Sequence[Path], first: Entry, read: Iterator[Entry]) -> Report:
    asked: list[Target] = []
    aim = Aim(options.model, options.model_version, options.model_label)
    try:
        against = _connected(options, options.against, aim, first, key_in(options.key_file))
        asked.append(against)
        baseline = None
        if options.baseline is not None:
            key = key_in(options.baseline_key_file, default=False)
            baseline = _connected(options, options.baseline, Aim(options.model, options.baseline_version), first, key)
            asked.append(baseline)
        replay = Replay(against, baseline, Tolerance(options.rtol, options.atol))
        pace = Pace(options.concurrency, options.rate, options.limit)
        console = Console(stderr=True)
        progress = Progress(
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        sizes = {file: file.stat().st_size for file in files}
        with progress:
            task = progress.add_task("", total=sum(sizes.values()))
            passed = {file: sum(list(sizes.values())[:index]) for index, file in enumerate(files)}

            def seen(entry: Entry, report: Report) -> None:
                counts = (f"{report.verdicts[verdict]} {verdict}" for verdict in Verdict if report.verdicts[verdict])
                progress.update(task, completed=passed[entry.file] + entry.offset, description="  ".join(counts))

            return replay.run(read, pace, seen)
    finally:
        for target in asked:
            target.close()


def _connected(options: argparse.Namespace, url: str, aim: Aim, first: Entry, key: str) -> Target:
    model = aim.name(first.record) if first.record is not None else ""
    shown = Credentials(key, tls_of(options))
    target, protocol = connect(url, options.protocol, aim, timeout=options.timeout, model=model, credentials=shown)
    if options.protocol == AUTO:
        sys.stderr.write(f"tensorgate: {url} is asked by {protocol}\n")
    return target


def _show(report: Report, console: Console) -> None:
    counts = Table("Requests", "Number", title="Replay", title_justify="left")
    counts.add_row("sent", str(report.sent))
    for verdict in Verdict:
        counts.add_row(verdict.replace("_", " "), str(report.verdicts[verdict]))
    counts.add_row("damaged", str(report.damaged))
    console.print(counts)
    codes = Table("Answer", "Number", title="By code", title_justify="left")
    for code, number in report.codes.most_common():
        codes.add_row(Text(code), str(number))
    console.print(codes)
    times = Table("Server", "p50", "p99", title="Latency", title_justify="left")
    for name, found in report.latencies().items():
        times.add_row(name, f"{found['p50'] * 1000:.2f} ms", f"{found['p99'] * 1000:.2f} ms")
    console.print(times)
    if largest := report.largest():
        table = Table(
            *("Record", "Output", "Index", "Expected", "Got", "Elements"),
            title="Largest differences",
            title_justify="left",
        )
        for difference, entry in largest:
            index = "" if difference.index is None else str(list(difference.index))
            cells = (place(entry), difference.output, index, difference.expected, difference.got, str(difference.count))
            table.add_row(*map(Text, cells))
        console.print(table)
    for outcome in report.failures:
        code = outcome.answer.code if outcome.answer else ""
        console.print(Text(f"{place(outcome.entry)}: {code}: {outcome.reason}"))
    for reason, number in report.reasons.items():
        console.print(Text(f"{number} not sent: {reason}"))
    for entry in report.damage:
        console.print(Text(f"{place(entry)} cannot be read: {entry.fault}"))


def _failed(message: str) -> int:
    sys.stderr.write(f"tensorgate: {message}\n")
    return FAILED


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
