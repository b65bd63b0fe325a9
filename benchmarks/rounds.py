"""The comparison: all servers in turn, several times over, so that what disturbs the machine meets all alike."""

import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

from benchmarks import open_loop
from benchmarks.asking import WrongAnswerError, check, wait_for_answer
from benchmarks.load import LoadError, burst, require_size
from benchmarks.options import Options
from benchmarks.questions import Question
from benchmarks.results import Burst, Compared, Row
from benchmarks.servers import NotAvailableError, Running, Server

_WARM_UP = 200
"""Requests before the first measurement: connections, caches, the first batches of each size."""
FAILURES = (LoadError, WrongAnswerError, NotAvailableError, OSError, ValueError, subprocess.SubprocessError)
"""What a server, or the load, may do wrong: it is told in the table, and the run goes on."""


def compare(servers: Iterable[Server], options: Options, results: Compared) -> None:
    """Runs the rounds and adds what they found to the results."""
    servers = list(servers)
    for number in range(options.rounds):
        # The order turns, so that none is always the one after a heavy one.
        turned = servers[number % len(servers) :] + servers[: number % len(servers)] if servers else []
        for server in turned:
            tell(f"round {number + 1} of {options.rounds}: {server.name}")
            try:
                with server.start() as running:
                    _measure_server(server, running, options, results)
            except FAILURES as error:
                for question in server.questions:
                    results.reasons.setdefault(Row(server.name, question.name), str(error))
                tell(f"  {error}")


def tell(line: str) -> None:
    """Tells how far the run is, beside the tables."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _measure_server(server: Server, running: Running, options: Options, results: Compared) -> None:
    first = server.questions[0]
    wait_for_answer(first, running.address(first), running.server)
    results.start[server.name].append(time.monotonic() - running.server.spawned)
    results.idle[server.name].append(running.server.memory_bytes() / 1e6)
    for question in server.questions:
        row = Row(server.name, question.name)
        try:
            _measure_row(row, question, running, options, results)
        except FAILURES as error:
            results.reasons.setdefault(row, str(error))
            tell(f"  {question.name}: {error}")
    results.memory[server.name].append(running.server.memory_bytes() / 1e6)


def _measure_row(row: Row, question: Question, running: Running, options: Options, results: Compared) -> None:
    address = running.address(question)
    expected = check(question, address)
    most = max(options.concurrencies)
    with suppress(LoadError):
        burst(question, address, concurrency=most, requests=max(_WARM_UP, most))
    for concurrency in options.concurrencies:
        measured = measure(question, running, expected, concurrency=concurrency, seconds=options.seconds)
        results.bursts[row, concurrency].append(measured)
    if "open-loop" in options.only:
        rate = results.bursts[row, most][-1].measured.rate / 2
        found = open_loop.measure(question, address, rate=rate, seconds=options.seconds)
        results.open_loop[row].append(found)


def measure(question: Question, running: Running, expected: int, *, concurrency: int, seconds: float) -> Burst:
    """Measures a burst of about that length, and what it cost.

    Raises:
        LoadError: When an answer was not as it should be.
    """
    address = running.address(question)
    trial = burst(question, address, concurrency=concurrency, requests=max(20, 3 * concurrency))
    requests = max(20, 2 * concurrency, round(trial.rate * seconds))
    before, backend_before = _cpu(running)
    measured = burst(question, address, concurrency=concurrency, requests=requests)
    after, backend_after = _cpu(running)
    require_size(question, measured, expected)
    return Burst(measured, 1000 * (after - before) / requests, 1000 * (backend_after - backend_before) / requests)


def _cpu(running: Running) -> tuple[float, float]:
    return running.server.cpu_seconds(), running.backend.cpu_seconds() if running.backend else 0.0
