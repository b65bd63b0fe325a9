"""``make faults``, ``make soak`` and ``make swarm``: what must hold under load and faults, tried, as a table."""

import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path

import uvloop

from benchmarks.processes import ROOT
from reliability import (
    certificate_faults,
    clients,
    disk_faults,
    findings,
    many_requests,
    name_faults,
    overload,
    reloads,
    replica_faults,
    stops,
    swarm,
    table,
)
from reliability.findings import Finding
from reliability.options import FULL_MINUTES, Work, parse
from reliability.servers import EXPORT, run_code

Run = Callable[[Work], Coroutine[None, None, Sequence[Finding]]]
RUNS: Mapping[str, Mapping[str, Run]] = {
    "faults": {
        "replicas": replica_faults.run,
        "stops": stops.run,
        "disk": disk_faults.run,
        "names": name_faults.run,
        "certificates": certificate_faults.run,
        "clients": clients.run,
    },
    "soak": {"overload": overload.run, "reloads": reloads.run, "requests": many_requests.run},
    "swarm": {"swarm": swarm.run},
}
_FINDINGS = ROOT / "build" / "reliability.json"
_DOCUMENTS = {
    ("faults", "soak"): (ROOT / "docs" / "reliability.md", table.BEGIN),
    ("swarm",): (ROOT / "docs" / "kubernetes.md", "<!-- figures: make swarm -->"),
}
"""Where the tables of which groups are, and how they begin."""


def main(arguments: Sequence[str]) -> int:
    """Runs it; returns the exit status: 1 when something did not hold."""
    runs = {name: run for group in RUNS.values() for name, run in group.items()}
    options = parse(arguments, {group: list(names) for group, names in RUNS.items()})
    with tempfile.TemporaryDirectory(prefix="tensorgate-reliability-") as name:
        folder = Path(name)
        models = folder / "models"
        uvloop.run(run_code(EXPORT, models))
        holds = True
        for run in options.only:
            _tell(f"{run} ...")
            (folder / run).mkdir()
            work = Work(folder / run, models, options.minutes / FULL_MINUTES)
            try:
                found = list(uvloop.run(runs[run](work)))
            except Exception as error:  # one that fails is a line of the table, and the others go on
                found = [Finding(run, "it runs to its end", f"{type(error).__name__}: {error}"[:300], holds=False)]
            findings.save(_FINDINGS, run, found)
            for finding in found:
                _tell(f"  {finding.what}: {finding.measured}")
            holds = holds and not findings.failed(found)
    [(groups, document)] = [each for each in _DOCUMENTS.items() if options.group in each[0]]
    written = table.as_markdown(findings.load(_FINDINGS), [name for group in groups for name in RUNS[group]])
    sys.stdout.write(written)
    if options.write:
        table.write(document[0], written, document[1])
    return 0 if holds else 1


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
