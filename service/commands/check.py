"""``tensorgate check``: loads a SavedModel and says what this server would make of it."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from service.app.check import CheckError, Report, check, found_at
from service.app.output import Output

FAILED = 1
_FATAL_ONLY = "3"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("path", type=Path, metavar="PATH", help="a SavedModel: models/NAME/VERSION, or models/NAME")
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.5,
        metavar="N",
        help="how long each number of rows is run to find out how fast it is; 0 for not at all (default: 0.5)",
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        version = found_at(options.path)
    except CheckError as error:
        sys.stderr.write(f"tensorgate: {error}\n")
        return FAILED
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _FATAL_ONLY)  # it complains of each input that is tried
    output = Output(level="error", style="text")
    try:
        with tempfile.TemporaryDirectory(prefix="tensorgate-check-") as models:
            report = asyncio.run(check(version, Path(models), seconds=options.seconds))
    finally:
        output.close()
    sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n" if options.json else _text(report))
    return 0 if report.is_served else FAILED


def _text(report: Report) -> str:
    lines = [f"{report.path}: {report.verdict}"]
    if not report.is_served:
        return "\n".join([*lines, *(f"  mend: {hint}" for hint in report.hints), ""])
    lines.append(f"  loaded and warmed up in {report.load_seconds:.1f} s, {report.megabytes:.0f} MB of memory more")
    for signature in report.signatures:
        lines += [
            "",
            f"  signature {signature.name}",
            f"    takes    {signature.takes}",
            f"    gives    {signature.gives}",
            f"    answers  {', '.join(signature.answers)}",
            f"    batched  {signature.unbatched or 'yes'}",
        ]
        lines += [
            f"    speed    {speed.rows:>3} rows: {speed.milliseconds:.2f} ms a run, {speed.rows_a_second:,.0f} rows/s"
            for speed in signature.speeds
        ]
    if report.request:
        lines += ["", "  once it is served:", f"    {report.request}"]
    if report.hints:
        lines += ["", *(f"  mend: {hint}" for hint in report.hints)]
    return "\n".join([*lines, ""])
