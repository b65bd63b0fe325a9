"""``make faults`` and ``make soak``: what must hold under load and faults, tried, as a table."""

import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import uvloop

from benchmarks.processes import ROOT
from reliability import (
    clients,
    disk_faults,
    findings,
    many_requests,
    network_faults,
    overload,
    reloads,
    replica_faults,
    stops,
    table,
)
from reliability.findings import Finding
from reliability.options import FULL_MINUTES, Work, parse

RUNS: Mapping[str, Callable[[Work], Awaitable[Sequence[Finding]]]] = {
    "replicas": replica_faults.run,
    "overload": overload.run,
    "stops": stops.run,
    "reloads": reloads.run,
    "requests": many_requests.run,
    "clients": clients.run,
    "disk": disk_faults.run,
    "network": network_faults.run,
}
_FINDINGS = ROOT / "build" / "reliability.json"
_DOCUMENT = ROOT / "docs" / "reliability.md"


def main(arguments: Sequence[str]) -> int:
    """Runs it; returns the exit status: 1 when something did not hold."""
    options = parse(arguments, list(RUNS))
    with tempfile.TemporaryDirectory(prefix="tensorgate-reliability-") as name:
        folder = Path(name)
        models = folder / "models"
        # In a process of its own: TensorFlow would take memory and threads from the load.
        export = "import sys; from pathlib import Path; from reliability.exporting import export_slow; "
        export += "export_slow(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", export, str(models)], cwd=ROOT, check=True, capture_output=True)
        holds = True
        for run in options.only:
            _tell(f"{run} ...")
            (folder / run).mkdir()
            work = Work(folder / run, models, options.minutes / FULL_MINUTES)
            try:
                found = list(uvloop.run(_awaited(RUNS[run](work))))
            except (RuntimeError, OSError) as error:
                found = [Finding(run, "it runs to its end", str(error), holds=False)]
            findings.save(_FINDINGS, run, found)
            for finding in found:
                _tell(f"  {finding.what}: {finding.measured}")
            holds = holds and not findings.failed(found)
    written = table.as_markdown(findings.load(_FINDINGS), list(RUNS))
    sys.stdout.write(written)
    if options.write:
        table.write(_DOCUMENT, written)
    return 0 if holds else 1


async def _awaited(run: Awaitable[Sequence[Finding]]) -> Sequence[Finding]:
    return await run


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
