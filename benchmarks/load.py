"""One burst of load by h2load, and what it measured."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.questions import Question

_PER_CONNECTION = 8
"""Calls at a time on one gRPC connection, where there are so many."""
_REST_TOLERANCE = 0.25
"""Of an answer's size: in JSON, a number's last digits may differ from one merged run to the next."""
_RATE = re.compile(r"finished in [^,]+, ([\d.]+) req/s")
_SUCCEEDED = re.compile(r"(\d+) succeeded")
_DATA = re.compile(r"\((\d+)\) data")
_TIMEOUT = 120.0


class LoadError(Exception):
    """A burst did not go as it should; the message says how."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a burst showed; latencies in milliseconds.

    Attributes:
        rate: Answers a second.
        p50: Half of the answers took at most this.
        p99: 99 of 100 took at most this.
        bytes_each: Of data, on average.
    """

    rate: float
    p50: float
    p99: float
    bytes_each: float


def burst(
    question: Question, address: str, *, concurrency: int, requests: int, paths: list[str] | None = None
) -> Measured:
    """Sends the question that many times, always so many at a time.

    Args:
        question: What is asked.
        address: ``host:port``.
        concurrency: Requests at a time: on REST, that many connections; on gRPC, up to 8 calls a connection.
        requests: How many in all.
        paths: Other paths to ask the same, in turn.

    Raises:
        LoadError: When a request failed, or h2load did.
    """
    per_connection = min(concurrency, _PER_CONNECTION) if question.is_grpc else 1
    options = ["-c", str(max(1, concurrency // per_connection)), "-m", str(per_connection), "-n", str(requests)]
    if question.is_grpc:
        options += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    else:
        options += ["--h1", "-H", "content-type: application/json"]
    uris = [f"http://{address}{path}" for path in paths or [question.path]]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        try:
            done = subprocess.run(
                ["h2load", *options, f"--log-file={log}", "-d", str(question.body), *uris],
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LoadError(f"{requests} requests took longer than {_TIMEOUT:.0f} s") from None
        return parse(done.stdout + done.stderr, log.read_text() if log.exists() else "", requests)


def parse(summary: str, log: str, requests: int) -> Measured:
    """Reads what h2load printed, and its log: a line a request, microseconds in the third column.

    Raises:
        LoadError: When not every request succeeded.
    """
    rate, succeeded, data = (pattern.search(summary) for pattern in (_RATE, _SUCCEEDED, _DATA))
    if rate is None or succeeded is None or data is None:
        raise LoadError(f"h2load failed: {summary.strip()[-300:]}")
    if int(succeeded[1]) != requests:
        raise LoadError(f"{requests - int(succeeded[1])} of {requests} requests failed")
    milliseconds = np.array([int(line.split("\t")[2]) for line in log.splitlines()]) / 1000
    if len(milliseconds) != requests:
        raise LoadError(f"h2load logged {len(milliseconds)} of {requests} requests")
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return Measured(float(rate[1]), float(p50), float(p99), int(data[1]) / requests)


def require_size(question: Question, measured: Measured, expected: int) -> None:
    """Holds the size of answers against that of a right one: to h2load a refused gRPC call is a success, and shorter.

    Raises:
        LoadError: When they differ.
    """
    allowed = 0.0 if question.is_grpc else _REST_TOLERANCE * expected
    if abs(measured.bytes_each - expected) > allowed:
        raise LoadError(f"answers of {measured.bytes_each:.1f} bytes, where a right one has {expected}")
