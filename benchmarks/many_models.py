"""``python -m benchmarks.many_models``: what one server of many models costs, and what a bound on memory saves.

For each number of models a server is started, each model is asked once, and what operators ask for is asked some times.
What is counted is the server's own processor time where it can be, as that does not depend on who else is busy.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.exporting import export
from benchmarks.processes import Process, free_port, process
from benchmarks.questions import MODEL
from service.backends.savedmodel.folder import version_in

COUNTS = (1, 64, 512)
_BOUNDED_SHARE = 8
"""A bound on memory has room for one in so many models."""
_START_SECONDS = 1800.0
_LOOKS = 10
_ASKED = 10
_HEAD = (
    "model", "models", "room for", "ready s", "CPU s", "counted MB", "MB", "MB after all", "look ms", "metrics kB",
    "metrics ms", "list kB", "list ms", "index kB", "index ms", "ask ms", "cold ms", "cold max ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kind:
    """A model, and what it is asked, if it is."""

    name: str
    version: Path
    body: bytes | None

    @property
    def memory_bytes(self) -> int:
        """What one counts for in memory."""
        found = version_in(self.version)
        return 0 if found is None else found.memory_bytes


def main() -> int:
    """Prints the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many_models", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of models")
    parser.add_argument("--kinds", nargs="+", choices=("tiny", "cnn"), default=("tiny", "cnn"))
    parser.add_argument("--versions", nargs="+", type=Path, default=[], help="folders of versions; these are not asked")
    parser.add_argument("--isolated", action="store_true", help="with the models in a helper process")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        makers = {"tiny": _tiny, "cnn": _cnn}
        kinds = [makers[name](Path(folder)) for name in ([] if options.versions else options.kinds)]
        kinds += [_Kind(version.resolve().parent.name, version.resolve(), None) for version in options.versions]
        _row(_HEAD)
        for kind in kinds:
            for count in options.counts:
                _row(_measured(kind, count, None, Path(folder), isolated=options.isolated))
                if count > _BOUNDED_SHARE:
                    _row(_measured(kind, count, count // _BOUNDED_SHARE, Path(folder), isolated=options.isolated))
    return 0


def _row(cells: Sequence[object]) -> None:
    sys.stdout.write("| " + " | ".join(map(str, cells)) + " |\n")
    sys.stdout.flush()


def _tiny(folder: Path) -> _Kind:
    """Writes a model of one variable."""
    module = tf.Module()
    module.w = tf.Variable(2.0)
    spec = tf.TensorSpec([None], tf.float32, name="x")
    module.f = tf.function(lambda x: {"y": x * module.w}).get_concrete_function(spec)
    tf.saved_model.save(module, str(folder / "tiny" / "1"), signatures=module.f)
    return _Kind("tiny", folder / "tiny" / "1", json.dumps({"instances": [1.0, 2.0]}).encode())


def _cnn(folder: Path) -> _Kind:
    """Writes the model that the other benchmarks ask: a small CNN, as Keras exports it."""
    examples = export(folder / "keras")
    body = json.dumps({"instances": np.asarray(examples.images[:1]).tolist()}).encode()
    return _Kind("cnn", folder / "keras" / MODEL / "1", body)


def _measured(kind: _Kind, count: int, room: int | None, folder: Path, *, isolated: bool) -> list[object]:
    """Returns the cells of a row.

    Args:
        kind: Of the models.
        count: How many there are.
        room: For how many of them there is room in memory; ``None`` for no bound.
        folder: For files.
        isolated: Whether a helper process has the models.
    """
    models = folder / f"{kind.name}-{count}"
    names = [f"m{number:03}" for number in range(count)]
    if not models.exists():
        for name in names:
            _linked(kind.version, models / name / "1")
    port, grpc_port = free_port(), free_port()
    command: list[object] = [sys.executable, "-m", "service", "serve", "--models", models, "--poll-seconds", "0"]
    command += ["--rest-port", port, "--grpc-port", grpc_port, "--max-requests-in-flight", "4096"]
    command += [] if room is None else ["--max-loaded-bytes", room * kind.memory_bytes]
    command += ["--isolated"] if isolated else []
    base = f"http://127.0.0.1:{port}"
    with process(command, folder / "log") as server:
        _until_ready(server, base)
        ready, cpu, memory = time.monotonic() - server.spawned, server.cpu_seconds(), server.memory_bytes()
        counted = min(count, room or count) * kind.memory_bytes
        waits = []
        for name in names if kind.body is not None else ():
            began = time.monotonic()
            _answer(f"{base}/v1/models/{name}:predict", kind.body)
            waits.append((time.monotonic() - began) * 1000)
        cold = sorted(waits[room:]) if room is not None else []
        last = f"{base}/v1/models/{names[-1]}:predict"
        cells = [kind.name, count, room or "", f"{ready:.1f}", f"{cpu:.1f}", f"{counted / 1e6:.0f}"]
        cells.append(f"{memory / 1e6:.0f}")
        cells += [f"{server.memory_bytes() / 1e6:.0f}", f"{_look_ms(server):.1f}"]
        for path, data in (("/metrics", None), ("/api/v1/models", None), ("/v2/repository/index", b"{}")):
            size = len(_answer(base + path, data))
            cells += [f"{size / 1e3:.0f}", f"{_cpu_ms(server, partial(_answer, base + path, data)):.1f}"]
        cells.append("" if kind.body is None else f"{_cpu_ms(server, partial(_answer, last, kind.body)):.1f}")
        cells += [f"{statistics.median(cold):.0f}", f"{cold[-1]:.0f}"] if cold else ["", ""]
        return cells


def _linked(version: Path, copy: Path) -> None:
    """Puts a version there, whose files take no room of their own."""
    for path in version.rglob("*"):
        place = copy / path.relative_to(version)
        if path.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)


def _until_ready(server: Process, base: str) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.alive:
        try:
            _answer(f"{base}/readyz")
        except OSError:
            time.sleep(1)  # to ask costs the server something, too
        else:
            return
    raise RuntimeError(f"it did not become ready: {server.last_line()}")


def _look_ms(server: Process) -> float:
    """Returns the processor time of one look at the models folder, in milliseconds: SIGHUP has it look twice."""

    def look() -> None:
        seen = server.log.read_text(errors="replace").count("what is served is as it was")
        os.kill(server.pid, 1)
        while server.log.read_text(errors="replace").count("what is served is as it was") == seen:
            time.sleep(0.05)

    look()
    return _cpu_ms(server, look, times=_LOOKS // 2) / 2


def _cpu_ms(server: Process, work: Callable[[], object], *, times: int = _ASKED) -> float:
    """Returns the processor time that the server takes for something, in milliseconds, on average."""
    before = server.cpu_seconds()
    for _ in range(times):
        work()
    return (server.cpu_seconds() - before) / times * 1000


def _answer(address: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(address, body, {"content-type": "application/json"})  # noqa: S310  # our own
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
        answer: bytes = response.read()
        return answer


if __name__ == "__main__":
    sys.exit(main())
