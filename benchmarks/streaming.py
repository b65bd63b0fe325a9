"""Streams beside unary calls, both by the load generator of `stream_client.py`; and long calls by h2load."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import native_questions, questions
from benchmarks.asking import check, wait_for_answer
from benchmarks.load import LoadError, Measured, burst
from benchmarks.options import Options
from benchmarks.processes import ROOT
from benchmarks.questions import LONG_CALLS, OIP_RPC, STREAM, UNARY, Question, framed
from benchmarks.results import Burst, Compared, Row
from benchmarks.rounds import FAILURES, tell
from benchmarks.servers import PEERS, TENSORGATE, Running, Server
from benchmarks.workspace import Workspace

_MESSAGES = 64
_FRAME_BYTES = 5
_OIP_TAG, _NATIVE_TAG = 2 << 3 | 2, 1 << 3 | 2
"""Of infer_response in ModelStreamInferResponse; of response in ClassifyStreamResponse."""
_WRAPPER_BYTES = 64
"""By which a stream's answer may be longer than a unary one: it wraps it, and Triton adds a parameter."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A unary call, and the stream of the same.

    Attributes:
        name: For the table.
        question: The unary call.
        stream: Path of the stream.
        tag: The first byte of a stream's answers, if they are no errors: field and wire type.
    """

    name: str
    question: Question
    stream: str
    tag: int


def measure_streaming(work: Workspace, options: Options, results: Compared) -> None:
    """Measures both kinds of calls of Tensorgate and of Triton in turn, round for round."""
    generic = _Pair(OIP_RPC, work.ask[OIP_RPC], questions.OIP_STREAM, _OIP_TAG)
    start = work.starter
    lineup = [
        (Server(TENSORGATE, "", (generic.question,), start.tensorgate), [generic]),
        (
            Server(PEERS["triton"], "", (generic.question,), partial(start.peer, "triton", options.peers_call)),
            [generic],
        ),
    ]
    if (options.models / native_questions.CLASSIFIER).is_dir():
        classify = native_questions.classify_questions(work.folder)[0]
        native = _Pair(classify.name, classify, native_questions.CLASSIFY_STREAM, _NATIVE_TAG)
        server = Server(TENSORGATE, "", (classify,), partial(start.tensorgate, models=options.models.resolve()))
        lineup.append((server, [native]))
    for number in range(options.rounds):
        for server, pairs in lineup:
            tell(f"streaming, round {number + 1} of {options.rounds}: {server.name}, {pairs[0].name}")
            try:
                with server.start() as running:
                    first = server.questions[0]
                    wait_for_answer(first, running.address(first), running.server)
                    for pair in pairs:
                        _measure_pair(server.name, pair, running, options, results)
            except FAILURES as error:
                results.reasons.setdefault(Row(server.name, pairs[0].name), str(error))
                tell(f"  {error}")


def _measure_pair(name: str, pair: _Pair, running: Running, options: Options, results: Compared) -> None:
    expected = check(pair.question, running.grpc) - _FRAME_BYTES
    for kind in (UNARY, STREAM):
        row = Row(name, f"{pair.name}, {kind}")
        try:
            for concurrency in options.concurrencies:
                before = running.server.cpu_seconds()
                measured, answers = _drive(pair, kind, running, concurrency, options.seconds)
                if not expected <= measured.bytes_each <= expected + (_WRAPPER_BYTES if kind == STREAM else 0):
                    raise LoadError(f"answers of {measured.bytes_each:.0f} bytes, where a right one has {expected}")
                cpu = 1000 * (running.server.cpu_seconds() - before) / answers
                results.bursts[row, concurrency].append(Burst(measured, cpu))
        except FAILURES as error:
            results.reasons.setdefault(row, str(error))
            tell(f"  {row.protocol}: {error}")
            return
    row = Row(name, f"{pair.name}, {LONG_CALLS}")
    try:
        results.bursts[row, _MESSAGES].append(_long_calls(pair, running, expected, options.seconds))
    except LoadError as error:
        results.reasons.setdefault(row, str(error))
        tell(f"  {row.protocol}: {error}")


def _drive(pair: _Pair, kind: str, running: Running, concurrency: int, seconds: float) -> tuple[Measured, int]:
    connections = max(1, concurrency // 8)
    with _file(pair.question.message) as message:
        command = [sys.executable, "-m", "benchmarks.stream_client", running.grpc]
        command += [pair.question.path if kind == UNARY else pair.stream, message]
        command += ["--connections", str(connections), "--window", str(concurrency // connections)]
        command += ["--seconds", str(seconds), *(["--unary"] if kind == UNARY else [])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise LoadError(f"the load generator failed: {done.stderr.strip()[-300:]}")
    saw = json.loads(done.stdout)
    if saw["error"]:
        raise LoadError(saw["error"])
    if saw["smallest"] != saw["largest"]:
        raise LoadError(f"answers of {saw['smallest']} to {saw['largest']} bytes")
    if kind == STREAM and saw["tags"] != [pair.tag]:
        raise LoadError("answers that are errors")
    return Measured(saw["rate"], saw["p50"], saw["p99"], saw["largest"]), saw["messages"]


def _long_calls(pair: _Pair, running: Running, expected: int, seconds: float) -> Burst:
    """Sends calls of 64 messages at once, one call after the other: so the load itself costs next to nothing."""
    with _file(framed(pair.question.message) * _MESSAGES) as body:
        question = Question(pair.name, pair.stream, Path(body), True, pair.question.read, None)
        trial = burst(question, running.grpc, concurrency=1, requests=5)
        calls = max(5, round(trial.rate * seconds))
        before = running.server.cpu_seconds()
        saw = burst(question, running.grpc, concurrency=1, requests=calls)
        cpu = 1000 * (running.server.cpu_seconds() - before) / (calls * _MESSAGES)
    least = _MESSAGES * (expected + _FRAME_BYTES)
    if not least <= saw.bytes_each <= least + _MESSAGES * _WRAPPER_BYTES:
        raise LoadError(f"calls with answers of {saw.bytes_each:.0f} bytes: not {_MESSAGES} right ones")
    return Burst(Measured(saw.rate * _MESSAGES, saw.p50, saw.p99, saw.bytes_each / _MESSAGES), cpu)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
