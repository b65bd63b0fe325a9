"""Latencies at a fixed rate, by the load generator beside this file, in a process of its own."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import LoadError
from benchmarks.processes import ROOT
from benchmarks.questions import Question


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """What a fixed rate showed; latencies in milliseconds, from when a request should have left.

    Attributes:
        rate: Requests a second, at times of a Poisson process.
        p50: Half of the answers came at most so much later.
        p99: 99 of 100 came at most so much later.
        late_p50: Half of the requests left at most so much later, by the load generator's own fault.
    """

    rate: float
    p50: float
    p99: float
    late_p50: float


def measure(question: Question, address: str, *, rate: float, seconds: float) -> OpenLoop:
    """Sends the question at that rate.

    Raises:
        LoadError: When a request failed, or answers had different sizes.
    """
    with tempfile.NamedTemporaryFile() as message:
        Path(message.name).write_bytes(question.message)
        command = [sys.executable, "-m", "benchmarks.open_loop_client", address, question.path, message.name]
        command += ["--rate", str(rate), "--seconds", str(seconds), *(["--grpc"] if question.is_grpc else [])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise LoadError(f"the load generator failed: {done.stderr.strip()[-300:]}")
    saw = json.loads(done.stdout)
    if saw["failed"]:
        raise LoadError(f"{saw['failed']} of {saw['sent']} requests failed: {saw['reason']}")
    if question.is_grpc and saw["smallest"] != saw["largest"]:
        raise LoadError(f"answers of {saw['smallest']} to {saw['largest']} bytes")
    return OpenLoop(rate, saw["p50"], saw["p99"], saw["late_p50"])
