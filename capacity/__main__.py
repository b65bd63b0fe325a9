"""``python -m capacity``: measures what requests and runs cost, checks the formulas against it, and plans with them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks import environment, load
from benchmarks.load import LoadError
from benchmarks.processes import ROOT
from benchmarks.questions import MODEL as CNN
from benchmarks.rounds import FAILURES
from capacity import options, planning, runs
from capacity.measured import LAST, PARTS, PUBLISHED, Measured
from capacity.system import Runs


def main(arguments: Sequence[str]) -> int:
    """Runs the command; returns the exit status."""
    chosen = options.parse(arguments)
    if isinstance(chosen, options.PlanOptions):
        return _print(*planning.as_text(chosen, _known()))
    if isinstance(chosen, runs.RunsOptions):
        return _print(*runs.as_text(chosen))
    from capacity import report  # noqa: PLC0415 - it simulates, with simpy, which planning does not need

    if chosen.again and not LAST.exists():
        sys.stderr.write("--again: nothing has been measured here yet\n")
        return 1
    if not chosen.again:
        try:
            load.build()
            uvloop.run(_measure(chosen))
        except (*FAILURES, RuntimeError) as error:
            sys.stderr.write(f"failed: {error}\n")
            return 1
    measured = Measured.load(LAST)
    sys.stdout.write(report.as_text(measured))
    if chosen.write:
        if missing := [part for part in PARTS if part not in measured.about]:
            sys.stderr.write(f"--write: expected all parts, not yet measured here: {', '.join(missing)}\n")
            return 1
        measured.save(PUBLISHED)
        report.write(measured)
    return 0


def _known() -> Measured:
    """Returns what was measured here if costs are part of it, otherwise what was published."""
    last = Measured.load(LAST) if LAST.exists() else Measured()
    return last if last.costs else Measured.load(PUBLISHED)


def _print(text: str, status: int) -> int:
    sys.stdout.write(text)
    return status


async def _measure(chosen: options.MeasureOptions) -> None:
    """Measures the parts that were chosen; the figures of the others stay."""
    from benchmarks import exporting  # noqa: PLC0415 - slow: it imports tensorflow
    from capacity import costs, idle, model, trying  # noqa: PLC0415 - these import packages that only tests need
    from reliability.servers import starter  # noqa: PLC0415 - so does this

    measured = Measured.load(LAST) if LAST.exists() else Measured()
    about = {
        "machine": environment.machine(),
        "versions": environment.listed(environment.versions()),
        "other work": f"a load average of {os.getloadavg()[1]:.1f} in the five minutes before",
        "date": environment.now(),
    }

    def keep(part: str) -> None:
        measured.about[part] = about
        measured.save(LAST)

    with tempfile.TemporaryDirectory(prefix="tensorgate-capacity-") as name:
        folder = Path(name)
        models = folder / "models"
        cnn = exporting.export(models)
        model.export(models)
        async with starter(folder, models) as start:
            if "costs" in chosen.only:
                measured.costs = await costs.measure(start, cnn, rounds=chosen.rounds, seconds=chosen.seconds)
                measured.cnn = _bare_runs(models)
                keep("costs")
            if "latencies" in chosen.only:
                measured.tried = await trying.latencies(start, seconds=3 * chosen.seconds)
                keep("latencies")
            if "full" in chosen.only:
                measured.full = await trying.fullest(start, seconds=chosen.seconds)
                keep("full")
            if "idle" in chosen.only:
                measured.idle = await idle.measure(start)
                keep("idle")


def _bare_runs(models: Path) -> Runs:
    """Measures in another process how long runs of the CNN take."""
    command = [sys.executable, "-m", "capacity.bare_runs", str(models / CNN / "1")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(done.stderr.strip()[-300:])
    return Runs(**json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
