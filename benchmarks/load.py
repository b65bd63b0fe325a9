"""One burst of load, and what it showed: by the load generator of `loader/`, where every message differs.

It is of our own because no other does that: h2load sends one file over and over, and a client in Python needs more of
the machine than the server does. In C on nghttp2, the library that h2load is made of, it costs no more than h2load.
"""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.questions import REST, Question

_SOURCES = ROOT / "benchmarks" / "loader"
_PROGRAM = ROOT / "build" / "loader"
_CONNECTIONS = 8
"""At most, of gRPC, which has many calls on each; REST has one for each request at a time."""
_WARM_UP_SECONDS = 1.0
_TIMEOUT = 60.0
_LOOK_SECONDS = 0.1
_JSON_TOLERANCE = 2
"""By how much an answer may be longer or shorter than those seen: of a number in JSON, more or fewer digits."""


class LoadError(Exception):
    """A burst did not go as it should; the message says how."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a burst showed; latencies in milliseconds, None where the load generator does not tell.

    Attributes:
        rate: Right answers a second.
        p50: Half of them took at most this.
        p99: 99 of 100 took at most this.
        answers: All of them, those before and after what was measured too.
        worst: The one that took longest.
    """

    rate: float
    p50: float | None
    p99: float | None
    answers: int
    worst: float | None = None


def build() -> None:
    """Compiles the load generator, where it is not yet.

    Raises:
        LoadError: When it cannot be.
    """
    sources = sorted(_SOURCES.glob("*.c"))
    if _PROGRAM.exists() and _PROGRAM.stat().st_mtime > max(file.stat().st_mtime for file in _SOURCES.iterdir()):
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise LoadError("no C compiler")
    _PROGRAM.parent.mkdir(exist_ok=True)
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter"]
    command = [compiler, *flags, *map(str, sources), "-o", str(_PROGRAM), "-lnghttp2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"the load generator cannot be compiled: {done.stderr.strip()[-500:]}")


def burst(
    question: Question,
    address: str,
    sizes: tuple[int, int],
    *,
    concurrency: int,
    seconds: float,
    enough: Callable[[], bool] = lambda: False,
) -> Measured:
    """Asks for that long, always so many at a time.

    Args:
        question: What is asked.
        address: ``host:port``.
        sizes: Bytes of the shortest and of the longest right answer that was seen.
        concurrency: Requests at a time; of a stream, messages under way.
        seconds: Of the burst, which begins after a second that does not count.
        enough: Asked ten times a second whether the burst may end before its time.

    Raises:
        LoadError: When an answer was not right, or the load generator failed.
    """
    connections = concurrency if question.kind == REST else min(_CONNECTIONS, concurrency)
    shortest, longest = sizes
    if question.kind == REST:
        shortest, longest = shortest // _JSON_TOLERANCE, longest * _JSON_TOLERANCE
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(question.template(address))
        command = [_PROGRAM, question.kind, address.rpartition(":")[2], question.path, file.name]
        command += [connections, concurrency // connections, _WARM_UP_SECONDS, seconds]
        return _run([str(part) for part in [*command, shortest, longest, int(question.has_id)]], seconds, enough)


def _run(command: list[str], seconds: float, enough: Callable[[], bool]) -> Measured:
    deadline = time.monotonic() + seconds + _TIMEOUT
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                printed, problem = process.communicate(timeout=_LOOK_SECONDS)
                break
            if enough():
                process.terminate()
            if time.monotonic() > deadline:
                raise LoadError(f"a burst of {seconds:g} s did not end")
    finally:
        process.kill()
    if process.returncode:
        raise LoadError(f"the load generator failed: {problem.strip()[-300:]}")
    return parse(printed)


def parse(printed: str) -> Measured:
    """Reads what the load generator printed.

    Raises:
        LoadError: When an answer was not right, or there was none.
    """
    saw = json.loads(printed)
    if saw["failed"]:
        raise LoadError(f"{saw['failed']:,} of {saw['failed'] + saw['good']:,} requests failed: {saw['reason']}")
    if not saw["rate"]:
        raise LoadError("no answers")
    return Measured(saw["rate"], saw["p50"], saw["p99"], saw["good"], saw["worst"])
