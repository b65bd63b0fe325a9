"""A server of several processes, and connections of which it is known who answers on them."""

import itertools
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.processes import START_SECONDS, ServerProcess, server_process

FAKE = ["--backend", "tests.fakes:FakeBackend"]
SLOW = ["--backend", "tests.fakes:SlowBackend"]
CLASSIFY = "/api/v1/models/shades/classify"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
_IDS = itertools.count()


class Workers:
    """A running ``tensorgate serve --workers``.

    Attributes:
        server: The supervisor.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def processes(self) -> dict[int, int]:
        """Returns the process of each worker, by its number."""
        found = {}
        supervisor = self.server.process.pid
        for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            for variable in variables:
                name, _, value = variable.partition(b"=")
                if name == b"TENSORGATE_WORKER":
                    found[json.loads(value)["number"]] = int(child)
        return found

    def connected(self, *, count: int = 2) -> dict[int, httpx.Client]:
        """Returns an open connection to each worker; the caller closes them."""
        found: dict[int, httpx.Client] = {}
        deadline = time.monotonic() + START_SECONDS
        while len(found) < count and time.monotonic() < deadline:
            client = httpx.Client(base_url=self.server.rest, timeout=30)
            name = f"connection-{next(_IDS)}"
            client.post(CLASSIFY, json=BLACK, headers={"x-request-id": name}).raise_for_status()
            number = self.worker_of(name)
            found.setdefault(number, client)
            if found[number] is not client:
                client.close()
        assert len(found) == count
        return dict(sorted(found.items()))

    def worker_of(self, request_id: str) -> int:
        """Returns which worker answered a request, as the log says."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in tuple(self.server.lines):
                if request_id in line and (entry := json.loads(line)).get("request_id") == request_id:
                    number: int = entry["worker"]
                    return number
        raise AssertionError(f"{request_id} is not in the log")

    def logged(self, words: str) -> list[dict[str, Any]]:
        """Returns the log entries with these words."""
        return [json.loads(line) for line in tuple(self.server.lines) if words in line]


def samples(client: httpx.Client) -> dict[str, float]:
    """Returns what a scrape over this connection tells."""
    lines = client.get("/metrics").raise_for_status().text.splitlines()
    told = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in told}


def total(told: dict[str, float], name: str, words: str = "") -> float:
    """Returns the sum over all labels that have the words in them."""
    return sum(value for sample, value in told.items() if sample.partition("{")[0] == name and words in sample)


def alive(process: int) -> bool:
    """Tells whether there is such a process, that has not ended."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@contextmanager
def workers(*arguments: str, count: int = 2, **environment: str) -> Iterator[Workers]:
    """Runs a server of that many workers while the body runs; it serves when the body begins."""
    with server_process("--workers", str(count), *arguments, **environment) as server:
        server.announcement()
        yield Workers(server)
