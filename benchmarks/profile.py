"""Shows where a request's time goes: samples a server under load, and sums up by function. ``make profile``.

py-spy looks at the process from outside, threads that only wait left out; the load is one protocol's question, 64 at a
time. With ``--native`` the time inside C and C++ is told by its own functions. As on any machine with few cores, the
load runs beside the server: shares mean something, absolute times do not.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import load, standin
from benchmarks.asking import check, wait_for_answer
from benchmarks.exporting import export
from benchmarks.options import Options
from benchmarks.processes import ROOT, process
from benchmarks.profile_summary import summary
from benchmarks.questions import OIP_REST, OIP_RPC, OIP_STREAM, TFS_REST, TFS_RPC, Examples
from benchmarks.servers import Running, Starter

_PY_SPY = ROOT / ".venv-peers" / "py-spy" / "bin" / "py-spy"
_QUESTIONS = {question.name: question for question in (OIP_RPC, OIP_STREAM, TFS_RPC, OIP_REST, TFS_REST)}


def main(arguments: list[str]) -> int:
    """Reads the flags, samples, and prints the shares; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Where a request's time goes.")
    parser.add_argument("--protocol", default=OIP_RPC.name, choices=_QUESTIONS, help="[%(default)s]")
    parser.add_argument("--gateway", action="store_true", help="the gateway before a backend, not the model")
    parser.add_argument("--concurrency", type=int, default=64, help="[%(default)s]")
    parser.add_argument("--seconds", type=int, default=8, help="[%(default)s]")
    parser.add_argument("--native", action="store_true", help="functions of C and C++ as well")
    parser.add_argument("--output", type=Path, help="where to write the stacks, for a flame graph")
    flags = parser.parse_args(arguments)
    if not _PY_SPY.exists():
        sys.stderr.write("missing here: py-spy (make profile installs it)\n")
        return 1
    load.build()
    if flags.gateway:
        standin.build()
    with tempfile.TemporaryDirectory(prefix="tensorgate-profile-") as name:
        folder = Path(name)
        start = Starter(folder, folder / "models", export(folder / "models"), Options())
        with start.gateway() if flags.gateway else start.tensorgate() as running:
            stacks = _sample(running, start.examples, flags, folder)
    if flags.output:
        flags.output.write_text("\n".join(stacks) + "\n")
    sys.stdout.write(summary(stacks))
    return 0


def _sample(running: Running, examples: Examples, flags: argparse.Namespace, folder: Path) -> list[str]:
    question = _QUESTIONS[flags.protocol]
    address = running.address(question)
    wait_for_answer(question, address, examples, running.server)
    sizes = check(question, address, examples)
    load.burst(question, address, sizes, concurrency=flags.concurrency, seconds=1)
    file = folder / "stacks"
    command = [_PY_SPY, "record", "--pid", running.server.pid, "--duration", flags.seconds, "--rate", 200]
    command += ["--format", "raw", "--output", file, "--function", "--nonblocking"]
    with process([*command, *(["--native"] if flags.native else [])], folder / "py-spy.log") as sampler:
        # For longer than it samples, so that it sees nothing but load.
        load.burst(question, address, sizes, concurrency=flags.concurrency, seconds=flags.seconds + 2)
        sampler.wait(flags.seconds + 60)
        if not file.exists():
            raise SystemExit(f"py-spy failed: {sampler.last_line()}")
    return file.read_text().splitlines()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.TimeoutExpired as error:
        sys.exit(f"py-spy did not end: {error}")
