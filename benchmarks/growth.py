"""How cost grows: with the size of a request, with requests at a time, with the number of models."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks import exporting
from benchmarks.asking import check, wait_for_answer
from benchmarks.load import Measured, burst, require_size
from benchmarks.models import SMALL, SUM, Example
from benchmarks.options import Options
from benchmarks.questions import OIP_REST, OIP_RPC, TFS_REST, TFS_RPC, Question, ask_in_all
from benchmarks.rounds import FAILURES, tell
from benchmarks.servers import PEERS, TENSORGATE, Running
from benchmarks.workspace import Workspace

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
COUNTS = (1, 4, 16, 64)
ADMITTED = 1024
"""More than by default: 512 at a time would be refused in part."""
_FLOAT_BYTES, _JSON_BYTES = 4, 7
"""Of a number: in gRPC, and with four digits and its comma in JSON."""


@dataclass(frozen=True, slots=True)
class Models:
    """What so many models cost, asked in turn.

    Attributes:
        measured: 64 requests at a time, of all models in turn.
        memory: In MB, under load.
        start: Seconds until the last of them answered.
    """

    measured: Measured
    memory: float
    start: float


@dataclass(slots=True)
class Growth:
    """What was found.

    Attributes:
        size: By protocol, by bytes of a request: one at a time, and eight.
        concurrency: By name of a line of the plot, by requests at a time.
        models: By number of models.
        reasons: Why something has no figure.
    """

    size: dict[str, dict[int, tuple[Measured, Measured]]] = field(default_factory=dict)
    concurrency: dict[str, dict[int, Measured]] = field(default_factory=dict)
    models: dict[int, Models] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def measure_growth(work: Workspace, options: Options) -> Growth:
    """Measures all three."""
    growth = Growth()
    seconds = options.seconds / 2
    with _told(growth, "size of a request"):
        _measure_size(work, seconds, growth)
    ours = partial(work.starter.tensorgate, "--max-queue-size", ADMITTED, "--max-requests-in-flight", ADMITTED)
    triton = partial(work.starter.peer, "triton", options.peers_call)
    for name, start, protocols in ((TENSORGATE, ours, [OIP_RPC, OIP_REST]), (PEERS["triton"], triton, [OIP_RPC])):
        with _told(growth, f"requests at a time, {name}"), start() as running:
            for protocol in protocols:
                line = growth.concurrency.setdefault(f"{name}, {protocol}", {})
                question = work.ask[protocol]
                expected = _ready(question, running)
                for concurrency in CONCURRENCIES:
                    line[concurrency] = _burst(question, running, expected, concurrency, seconds)
    for count in COUNTS:
        with _told(growth, f"number of models: {count}"):
            growth.models[count] = _measure_models(work, count, seconds)
    return growth


@contextmanager
def _told(growth: Growth, name: str) -> Iterator[None]:
    tell(f"growth: {name}")
    try:
        yield
    except FAILURES as error:
        growth.reasons[name] = str(error)
        tell(f"  {error}")


def _ready(question: Question, running: Running) -> int:
    address = running.address(question)
    wait_for_answer(question, address, running.server)
    return check(question, address)


def _burst(question: Question, running: Running, expected: int, concurrency: int, seconds: float) -> Measured:
    address = running.address(question)
    trial = burst(question, address, concurrency=concurrency, requests=max(10, 2 * concurrency))
    requests = max(10, 2 * concurrency, round(trial.rate * seconds))
    measured = burst(question, address, concurrency=concurrency, requests=requests)
    require_size(question, measured, expected)
    return measured


def _measure_size(work: Workspace, seconds: float, growth: Growth) -> None:
    folder = work.folder / SUM
    exporting.save_sum(folder)
    with work.starter.tensorgate(models=folder) as running:
        for protocol, each in ((TFS_RPC, _FLOAT_BYTES), (OIP_RPC, _FLOAT_BYTES), (OIP_REST, _JSON_BYTES)):
            line = growth.size.setdefault(protocol, {})
            for size in SIZES:
                numbers = np.random.default_rng(0).uniform(0.1, 1, (1, size // each)).round(4).astype(np.float32)
                example = Example(numbers, numbers.sum(1, dtype=np.float64).astype(np.float32))
                question = _loosely(ask_in_all(SUM, example, work.folder)[protocol])
                expected = _ready(question, running)
                one, eight = (_burst(question, running, expected, concurrency, seconds) for concurrency in (1, 8))
                line[size] = (one, eight)


def _loosely(question: Question) -> Question:
    """Returns the question with no expectation of the sum's last digits: millions of float32 have none in common."""
    return Question(question.name, question.path, question.body, question.is_grpc, question.read, None)


def _measure_models(work: Workspace, count: int, seconds: float) -> Models:
    names = [f"model{number}" for number in range(count)]
    folder = work.folder / f"models{count}"
    exporting.copy(work.models / SMALL, names, folder)
    question = work.ask[TFS_REST]
    paths = [question.path.replace(SMALL, name) for name in names]
    with work.starter.tensorgate(models=folder) as running:
        for path in paths:
            of_one = Question(question.name, path, question.body, False, question.read, question.expected)
            expected = _ready(of_one, running)
        start = time.monotonic() - running.server.spawned
        burst(question, running.rest, concurrency=64, requests=max(400, 10 * count), paths=paths)
        trial = burst(question, running.rest, concurrency=64, requests=400, paths=paths)
        requests = max(400, round(trial.rate * seconds))
        measured = burst(question, running.rest, concurrency=64, requests=requests, paths=paths)
        require_size(question, measured, expected)
        return Models(measured, running.server.memory_bytes() / 1e6, start)
