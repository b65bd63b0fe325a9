"""Sends recorded requests: so many at a time, so many a second, and no more of them in memory than that."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import inf

from service.codecs.prediction_log import REGRESS, verb_of
from service.core.record import Record
from service.errors import OK, GatewayError
from service.replay.compare import Difference, Tolerance, differences
from service.replay.report import Outcome, Report, Verdict
from service.replay.source import Entry
from service.replay.target import Answer, Target


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast requests are sent.

    Attributes:
        concurrency: At a time.
        rate: A second, at most; ``None`` for as fast as they are answered.
        limit: In all, at most; ``None`` for all that there are.
    """

    concurrency: int = 4
    rate: float | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Asks a server, and holds its answers against those of another one or those that were recorded.

    Attributes:
        against: The server.
        baseline: The other one.
        tolerance: Of floats.
    """

    against: Target
    baseline: Target | None
    tolerance: Tolerance

    def outcome(self, entry: Entry, record: Record) -> Outcome:
        """Sends one request, to the baseline first.

        Args:
            entry: Where it was recorded.
            record: The request.
        """
        entry = replace(entry, record=None)  # what is reported of it does not keep its tensors
        if any(name not in record.inputs for name in record.redacted):
            return Outcome(entry, Verdict.SKIPPED, reason="inputs are redacted")
        try:
            baseline = self.baseline.ask(record) if self.baseline is not None else None
            answer = self.against.ask(record)
        except GatewayError as error:
            return Outcome(entry, Verdict.SKIPPED, reason=error.message)
        if baseline is not None and not baseline.came:
            reason = f"the baseline: {baseline.code}: {baseline.message}"
            return Outcome(entry, Verdict.FAILED, answer, baseline, reason=reason)
        if answer.succeeded:
            verdict, found = self._compared(record, answer, baseline)
            return Outcome(entry, verdict, answer, baseline, found)
        refused = record.code != OK if baseline is None else not baseline.succeeded
        same = refused and answer.came and _alike(answer, baseline)
        return Outcome(entry, Verdict.EQUAL if same else Verdict.FAILED, answer, baseline, reason=answer.message)

    def _compared(
        self, record: Record, answer: Answer, baseline: Answer | None
    ) -> tuple[Verdict, tuple[Difference, ...]]:
        """Returns what is to be said of an answer with outputs."""
        if baseline is not None and not baseline.succeeded:
            refusal = Difference("", None, f"{baseline.code}: {baseline.message}", answer.code, inf, 1)
            return Verdict.DIFFERENT, (refusal,)
        expected = record.outputs if baseline is None else baseline.outputs
        if expected is None:
            return Verdict.NOT_COMPARED, ()
        flat = verb_of(record) == REGRESS
        found = tuple(differences(expected, answer.outputs, self.tolerance, flat=flat))
        return Verdict.DIFFERENT if found else Verdict.EQUAL, found

    def run(self, entries: Iterable[Entry], pace: Pace, seen: Callable[[Entry, Report], None]) -> Report:
        """Sends requests until there are no more.

        Args:
            entries: Read as they are needed.
            pace: How fast.
            seen: Called with each entry once it is sent, and with what is known by then.

        Raises:
            OSError: When a file cannot be read.
        """
        report, lock = Report(), threading.Lock()
        room = threading.Semaphore(pace.concurrency)
        faults: list[BaseException] = []

        def done(future: Future[Outcome]) -> None:
            room.release()
            with lock:
                if error := future.exception():
                    faults.append(error)
                else:
                    report.add(future.result())

        taken, due = 0, time.monotonic()
        with ThreadPoolExecutor(pace.concurrency) as threads:
            for entry in entries:
                if faults or (pace.limit is not None and taken >= pace.limit):
                    break
                if entry.record is None:
                    with lock:
                        report.add_damaged(entry)
                else:
                    taken += 1
                    room.acquire()
                    due = _waited_until(due, pace.rate)
                    threads.submit(self.outcome, entry, entry.record).add_done_callback(done)
                with lock:
                    seen(entry, report)
        if faults:
            raise faults[0]
        return report


def _alike(answer: Answer, baseline: Answer | None) -> bool:
    """Returns whether both were refused for the same reason, as far as two protocols can be compared."""
    if baseline is None or answer.code.startswith("HTTP") != baseline.code.startswith("HTTP"):
        return True
    return answer.code == baseline.code


def _waited_until(due: float, rate: float | None) -> float:
    """Waits until the next request is due; returns when the one after it is. Time that was lost is not made up for."""
    if rate is None:
        return due
    now = time.monotonic()
    if due > now:
        time.sleep(due - now)
    return max(due, now) + 1 / rate
