"""Servers as processes of their own, for what only a process shows: start, signals, exit status, logs."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 90
STOP_SECONDS = 30


def free_port() -> int:
    """Returns a port that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """A running ``tensorgate serve``.

    Attributes:
        rest: Base URL of its REST API.
        grpc: Address of its gRPC API.
        lines: What it wrote to standard error so far.
    """

    def __init__(self, arguments: Sequence[str], environment: dict[str, str]) -> None:
        rest_port, grpc_port = free_port(), free_port()
        self.rest = f"http://127.0.0.1:{rest_port}"
        self.grpc = f"127.0.0.1:{grpc_port}"
        ports = ["--rest-port", str(rest_port), "--grpc-port", str(grpc_port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", *ports, *arguments],
            cwd=ROOT,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._announced: queue.Queue[str] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._announced.put), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.lines.append), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, keep: Any) -> None:
        for line in stream:
            keep(line.rstrip("\n"))

    def announcement(self) -> str:
        """Waits until it says that it serves; returns what it said."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                return self._announced.get(timeout=0.1)
            except queue.Empty:
                assert self.process.poll() is None, "\n".join(self.lines)
        raise AssertionError("it did not start:\n" + "\n".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal, unless it has ended already; returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(STOP_SECONDS)
        for reader in self._readers:
            reader.join(STOP_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return status

    def entries(self, logger: str) -> list[dict[str, Any]]:
        """Returns the log entries of that logger."""
        return [entry for line in self.lines if (entry := json.loads(line))["logger"] == logger]


@contextmanager
def server_process(*arguments: str, **environment: str) -> Iterator[ServerProcess]:
    """Runs ``tensorgate serve`` with these arguments and variables while the body runs."""
    server = ServerProcess(arguments, environment)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.stop()
