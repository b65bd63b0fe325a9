"""Recorded requests sent to servers that do as they are told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.codecs.prediction_log import encode_log
from service.codecs.recorded_json import encode_line
from service.codecs.tfrecord import frame
from service.core.record import Record
from service.errors import OK, ErrorKind, GatewayError
from service.replay.compare import Tolerance
from service.replay.report import Report, Verdict
from service.replay.run import Pace, Replay
from service.replay.source import Entry, entries, files_of
from service.replay.target import UNREACHABLE, Answer


class FakeTarget:
    """Answers as a function says."""

    def __init__(self, answer: Callable[[Record], Answer]) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.asked: list[Record] = []
        self.at_once = self.most_at_once = 0

    def ask(self, record: Record) -> Answer:
        with self._lock:
            self.asked.append(record)
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return self._answer(record)
        finally:
            with self._lock:
                self.at_once -= 1

    def close(self) -> None:
        pass


def record(number: int = 0, **fields: Any) -> Record:
    known: dict[str, Any] = {"outputs": {"y": np.array([number * 2], np.float32)}}
    return Record("m", "s", {"x": np.array([number], np.float32)}, **(known | fields))


def doubled(one: Record) -> Answer:
    return Answer(OK, {"y": one.inputs["x"] * 2}, "", 0.001)


def off_by_a_quarter(one: Record) -> Answer:
    return Answer(OK, {"y": one.inputs["x"] * 2.5}, "", 0.001)


def refusing(code: str) -> Callable[[Record], Answer]:
    return lambda _: Answer(code, {}, "no", 0.001)


def given(*records: Record) -> list[Entry]:
    return [Entry(Path("file"), number, 10 * number, one) for number, one in enumerate(records, 1)]


def replayed(
    read: Any, answer: Any = doubled, baseline: Any = None, pace: Pace | None = None
) -> tuple[Report, FakeTarget]:
    target, other = FakeTarget(answer), FakeTarget(baseline) if baseline else None
    report = Replay(target, other, Tolerance()).run(read, pace or Pace(), lambda entry, report: None)
    return report, target


@pytest.mark.parametrize(
    ("one", "answer", "baseline", "verdict"),
    [
        (record(1), doubled, None, Verdict.EQUAL),
        (record(1), off_by_a_quarter, None, Verdict.DIFFERENT),
        (record(1), refusing("INTERNAL"), None, Verdict.FAILED),
        (record(1), refusing(UNREACHABLE), None, Verdict.FAILED),
        (record(1, outputs=None), doubled, None, Verdict.NOT_COMPARED),
        (record(1, outputs=None), refusing("INTERNAL"), None, Verdict.FAILED),
        (record(1, outputs=None, code="invalid_input"), refusing("HTTP 400"), None, Verdict.EQUAL),
        (record(1, outputs=None, code="invalid_input"), refusing("UNAVAILABLE"), None, Verdict.FAILED),
        (record(1, outputs=None, code="overloaded"), doubled, None, Verdict.NOT_COMPARED),
        (record(1, redacted=("secret",)), doubled, None, Verdict.SKIPPED),
        (record(1, outputs={"y": np.array([99], np.float32)}), doubled, doubled, Verdict.EQUAL),
        (record(1), off_by_a_quarter, doubled, Verdict.DIFFERENT),
        (record(1), doubled, refusing("INTERNAL"), Verdict.DIFFERENT),
        (record(1), doubled, refusing("UNAVAILABLE"), Verdict.FAILED),
        (record(1), refusing("INTERNAL"), refusing("INTERNAL"), Verdict.EQUAL),
        (record(1), refusing("INTERNAL"), refusing("NOT_FOUND"), Verdict.FAILED),
        (record(1), refusing("INTERNAL"), refusing("HTTP 500"), Verdict.EQUAL),
        (record(1), refusing("INTERNAL"), doubled, Verdict.FAILED),
    ],
)
def test_each_request_has_a_verdict(one: Record, answer: Any, baseline: Any, verdict: Verdict) -> None:
    report, _ = replayed(given(one), answer, baseline)
    assert report.verdicts == {verdict: 1}
    assert report.passed == (verdict in {Verdict.EQUAL, Verdict.NOT_COMPARED})


def test_what_a_protocol_has_no_form_for_is_not_sent() -> None:
    def unable(_: Record) -> Answer:
        raise GatewayError(ErrorKind.NOT_SUPPORTED, "complex64 has no form in JSON")

    report, _ = replayed(given(record(1)), unable)
    assert (report.sent, report.passed, dict(report.reasons)) == (0, False, {"complex64 has no form in JSON": 1})


def test_the_largest_differences_are_reported_with_their_places() -> None:
    report, _ = replayed(given(*map(record, range(1, 101))), off_by_a_quarter)
    assert report.verdicts == {Verdict.DIFFERENT: 100}
    largest = report.largest()
    assert [entry.number for _, entry in largest] == list(range(100, 80, -1))
    assert all(entry.record is None for _, entry in largest)
    document = json.loads(json.dumps(report.document()))
    assert document["differences"][0] | {"size": 0} == {
        "file": "file",
        "record": 100,
        "offset": 1000,
        "output": "y",
        "index": [0],
        "expected": "200.0",
        "got": "250.0",
        "size": 0,
        "count": 1,
    }
    assert document["latency_seconds"] == {"against": {"p50": 0.001, "p99": 0.001}}
    assert document["codes"] == {"ok": 100}


def test_so_many_are_sent_at_a_time_and_no_more_are_read() -> None:
    read, answered = 0, 0
    ahead: list[int] = []
    lock = threading.Lock()

    def source() -> Iterator[Entry]:
        nonlocal read
        for entry in given(*map(record, range(50))):
            read += 1
            yield entry

    def counting(one: Record) -> Answer:
        nonlocal answered
        ahead.append(read - answered)
        time.sleep(0.002)
        with lock:
            answered += 1
        return doubled(one)

    report, target = replayed(source(), counting, pace=Pace(concurrency=3))
    assert report.verdicts == {Verdict.EQUAL: 50}
    assert target.most_at_once <= 3
    assert max(ahead) <= 4  # those that are sent, and one that waits for its turn


def test_there_is_a_limit_in_all() -> None:
    report, target = replayed(given(*map(record, range(20))), pace=Pace(limit=7))
    assert (report.sent, len(target.asked)) == (7, 7)


def test_there_is_a_limit_a_second() -> None:
    begun = time.monotonic()
    replayed(given(*map(record, range(11))), pace=Pace(rate=50))
    assert time.monotonic() - begun >= 0.2


def test_what_nobody_expected_ends_the_replay() -> None:
    def broken(_: Record) -> Answer:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        replayed(given(*map(record, range(100))), broken)


@pytest.mark.parametrize("encode", [lambda one: frame(encode_log(one)), encode_line])
def test_files_of_both_formats_are_read(tmp_path: Path, encode: Callable[[Record], bytes]) -> None:
    file = tmp_path / "tf_serving_warmup_requests"
    file.write_bytes(b"".join(encode(record(number)) for number in range(3)))
    found = list(entries(file))
    assert [entry.number for entry in found] == [1, 2, 3]
    assert found[2].offset == file.stat().st_size - len(encode(record(2)))
    report, _ = replayed(found)
    assert report.verdicts == {Verdict.EQUAL: 3}


@pytest.mark.parametrize(
    ("damaged", "offset"),
    [
        (
            b"".join((encode_line(record(1)), b"{nonsense\n", b"\n", encode_line(record(2)))),
            len(encode_line(record(1))),
        ),
        (b"".join((frame(encode_log(record(1))), frame(b"\xff"), frame(encode_log(record(2))))), None),
    ],
)
def test_what_is_damaged_is_told_and_the_rest_is_sent(tmp_path: Path, damaged: bytes, offset: int | None) -> None:
    file = tmp_path / "file"
    file.write_bytes(damaged)
    report, target = replayed(entries(file))
    assert (report.damaged, report.sent, report.passed, len(target.asked)) == (1, 2, False, 2)
    [entry] = report.damage
    assert entry.number == 2
    assert entry.offset == (offset if offset is not None else len(frame(encode_log(record(1)))))
    assert report.document()["damage"][0]["fault"]


def test_an_empty_file_has_no_entries(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert list(entries(file)) == []


def test_files_of_a_folder_are_taken_in_order_but_for_those_that_are_not_complete(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.tfrecord", "c.jsonl.part", ".lock"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    files, incomplete = files_of([tmp_path, tmp_path / "c.jsonl.part"])
    assert [file.name for file in files] == ["a.tfrecord", "b.jsonl", "c.jsonl.part"]
    assert [file.name for file in incomplete] == ["c.jsonl.part"]
    with pytest.raises(FileNotFoundError):
        files_of([tmp_path / "nope"])
