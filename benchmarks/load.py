"""One burst of load by h2load, and what it measured."""

import re
import subprocess
from dataclasses import dataclass

from benchmarks.payloads import Payload

_PER_CONNECTION = 8
"""Calls at a time on one gRPC connection, where there are so many."""
_RATE = re.compile(r"finished in [^,]+, ([\d.]+) req/s")
_LATENCY = re.compile(r"time for request:\s+\S+\s+(\S+)\s+(\S+)")
_SUCCEEDED = re.compile(r"(\d+) succeeded")
_DATA = re.compile(r"\((\d+)\) data")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a burst showed.

    Attributes:
        rate: Requests a second.
        mean: Of the latency, with its unit.
        longest: Likewise.
        bytes_each: Of the answers, on average: to h2load a refused gRPC call is a success, and it is shorter.
    """

    rate: float
    mean: str
    longest: str
    bytes_each: float


def burst(payload: Payload, address: str, *, concurrency: int, requests: int) -> Measured:
    """Sends the payload that many times.

    Raises:
        RuntimeError: When a request failed, or h2load did.
    """
    per_connection = min(concurrency, _PER_CONNECTION) if payload.is_grpc else 1
    options = ["-c", str(max(1, concurrency // per_connection)), "-m", str(per_connection), "-n", str(requests)]
    if payload.is_grpc:
        options += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    else:
        options += ["--h1", "-H", "content-type: application/json"]
    done = subprocess.run(
        ["h2load", *options, "-d", str(payload.file), f"http://{address}{payload.path}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    text = done.stdout
    rate, latency, succeeded, data = (pattern.search(text) for pattern in (_RATE, _LATENCY, _SUCCEEDED, _DATA))
    if rate is None or latency is None or succeeded is None or data is None or int(succeeded[1]) != requests:
        raise RuntimeError(f"{payload.name}: not every request succeeded\n{text}{done.stderr}")
    return Measured(float(rate[1]), latency[2], latency[1], int(data[1]) / requests)
