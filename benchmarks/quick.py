"""A few minutes' look at this server alone: a small CNN, one image a request, in every protocol. ``make bench-quick``.

All figures of a run are of one machine with everything on it, load included: compare ratios of one run, not figures of
two. The first row is a server that does nothing, for a measure of the machine.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import Measured, burst
from benchmarks.payloads import Payload, save_model, write_payloads

_SECONDS = 8
"""Of each burst, about."""
_CONCURRENCIES = (1, 8, 64)
_READY_SECONDS = 60


def main() -> int:
    """Measures and prints one table; returns the exit status."""
    if shutil.which("h2load") is None:
        sys.stderr.write("bench-quick needs h2load (Debian: apt-get install nghttp2-client)\n")
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "models")
        payloads = write_payloads(folder)
        _print("server and protocol", [f"{concurrency} at a time" for concurrency in _CONCURRENCIES])
        with _process("benchmarks.empty_handler", port := _free_port()):
            _wait_for_port(port)
            _measure(payloads[0], f"127.0.0.1:{port}", "an empty handler, gRPC")
        rest, rpc = _free_port(), _free_port()
        options = ["--models", folder / "models", "--rest-port", rest, "--grpc-port", rpc, "--log-level", "warning"]
        with _process("service", "serve", *options):
            _wait_until_ready(rest)
            for payload in payloads:
                _measure(payload, f"127.0.0.1:{rpc if payload.is_grpc else rest}", payload.name)
    return 0


def _measure(payload: Payload, address: str, name: str) -> None:
    expected = burst(payload, address, concurrency=1, requests=1).bytes_each
    cells = []
    for concurrency in _CONCURRENCIES:
        trial = burst(payload, address, concurrency=concurrency, requests=max(50, 2 * concurrency))
        measured = burst(payload, address, concurrency=concurrency, requests=max(100, round(trial.rate * _SECONDS)))
        # Over REST the status tells, and numbers of merged runs may differ in a last digit.
        if payload.is_grpc and measured.bytes_each != expected:
            raise RuntimeError(f"{name}: answers of {measured.bytes_each} bytes, where a good one has {expected}")
        cells.append(_cell(measured))
    _print(name, cells)


def _cell(measured: Measured) -> str:
    return f"{measured.rate:,.0f}/s ({measured.mean}, at most {measured.longest})"


def _print(name: str, cells: list[str]) -> None:
    sys.stdout.write(f"{name:26}" + "".join(f"{cell:38}" for cell in cells).rstrip() + "\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _process(module: str, *arguments: object) -> Iterator[None]:
    """Runs a module while the body runs."""
    process = subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait_for_port(port: int) -> None:
    for _ in range(_READY_SECONDS * 10):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}")


def _wait_until_ready(port: int) -> None:
    for _ in range(_READY_SECONDS * 10):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("the server did not become ready")


if __name__ == "__main__":
    sys.exit(main())
