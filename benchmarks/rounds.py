"""The run: everything in turn, several times over, so that what disturbs the machine meets all alike."""

import json
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace

from benchmarks import h2load, json_decoding, load
from benchmarks.asking import WrongAnswerError, check, wait_for_answer
from benchmarks.load import LoadError
from benchmarks.options import Options
from benchmarks.processes import ROOT
from benchmarks.questions import MODEL, Question
from benchmarks.results import Figure, Results
from benchmarks.servers import NotAvailableError, Running, Server, Starter, chosen

LOOP, JSON = "the SavedModel in a bare loop", "JSON to arrays"
FAILURES = (LoadError, WrongAnswerError, NotAvailableError, OSError, ValueError, subprocess.SubprocessError)
"""What a server, or the load, may do wrong: it is told in the table, and the run goes on."""
_ANY_SIZE = (0, 65536)


def compare(start: Starter, options: Options, results: Results) -> None:
    """Runs the rounds and adds what they found to the results."""
    servers = chosen(start, options)
    for number in range(options.rounds):
        # There and back again, so that none is always the one after a heavy one.
        for server in servers if number % 2 == 0 else reversed(servers):
            tell(f"round {number + 1} of {options.rounds}: {server.name}")
            try:
                with server.start() as running:
                    _measure_server(number, server, running, start, results)
            except FAILURES as error:
                for question in server.asked:
                    results.reasons.setdefault((server.name, question.name), str(error))
                tell(f"  {error}")
        if "limits" in options.only and not options.servers:
            _measure_loop(number, start, results)
        if "json" in options.only and not options.servers:
            _measure_json(number, options, results)


def tell(line: str) -> None:
    """Tells how far the run is, beside the tables."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _measure_server(number: int, server: Server, running: Running, start: Starter, results: Results) -> None:
    first = next(iter(server.asked))
    if server.answers:
        wait_for_answer(first, running.address(first), start.examples, running.server)
        results.add(number, Figure(server.name, "start"), time.monotonic() - running.server.spawned)
        results.add(number, Figure(server.name, "memory at first"), running.server.memory_bytes() / 1e6)
    else:
        _wait_until_it_listens(running, running.address(first))
    for question, concurrencies in server.asked.items():
        try:
            sizes = check(question, running.address(question), start.examples) if server.answers else _ANY_SIZE
            asked = question if server.answers else replace(question, has_id=False)
            for concurrency in concurrencies:
                of = Figure(server.name, "rate", question.name, concurrency)
                for what, value in _burst(asked, running, sizes, concurrency, start.options.seconds).items():
                    results.add(number, replace(of, what=what), value)
        except FAILURES as error:
            results.reasons.setdefault((server.name, question.name), str(error))
            tell(f"  {question.name}: {error}")
    results.add(number, Figure(server.name, "memory"), running.server.memory_bytes() / 1e6)


def _burst(
    question: Question, running: Running, sizes: tuple[int, int], concurrency: int, seconds: float
) -> dict[str, float]:
    ask = h2load.burst if question.by_h2load else load.burst
    before = running.server.cpu_seconds()
    measured = ask(question, running.address(question), sizes, concurrency=concurrency, seconds=seconds)
    cpu = 1000 * (running.server.cpu_seconds() - before) / measured.answers
    latencies = {"p50": measured.p50, "p99": measured.p99}
    return {"rate": measured.rate, "cpu": cpu} | {what: value for what, value in latencies.items() if value is not None}


def _wait_until_it_listens(running: Running, address: str) -> None:
    host, _, port = address.rpartition(":")
    while running.server.alive:
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.05)
    raise NotAvailableError(running.server.last_line())


def _measure_loop(number: int, start: Starter, results: Results) -> None:
    tell(f"round {number + 1} of {start.options.rounds}: {LOOP}")
    command = [sys.executable, "-m", "benchmarks.bare_loop", str(start.models / MODEL / "1")]
    seconds = str(start.options.seconds / 2)
    done = subprocess.run([*command, seconds], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        results.reasons[LOOP, ""] = done.stderr.strip()[-300:]
        return
    for call, rates in json.loads(done.stdout).items():
        for batch, rate in rates.items():
            results.add(number, Figure(LOOP, "images", call, int(batch)), rate)


def _measure_json(number: int, options: Options, results: Results) -> None:
    tell(f"round {number + 1} of {options.rounds}: {JSON}")
    for name, size, ours, plain in json_decoding.measure(options.seconds / 2):
        for what, value in (("bytes", size), ("ours", ours), ("orjson", plain)):
            results.add(number, Figure(JSON, what, name), value)
