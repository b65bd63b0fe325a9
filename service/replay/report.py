"""What came of a replay: how many answers were equal, which were not, and how long they took."""

import heapq
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from service.replay.compare import Difference
from service.replay.source import Entry
from service.replay.target import Answer

_SHOWN = 20
"""As many of the largest differences, of the failures and of the damaged records are kept."""


class Verdict(StrEnum):
    """What became of a recorded request."""

    EQUAL = "equal"
    """The answer is the expected one; or none was expected, and it was refused again."""
    DIFFERENT = "different"
    """The answer is another one."""
    FAILED = "failed"
    """There is no answer, though one was expected."""
    NOT_COMPARED = "not_compared"
    """There is an answer, and nothing to compare it with."""
    SKIPPED = "skipped"
    """It was not sent: it is redacted, or the protocol has no form for it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recorded request.

    Attributes:
        answer: The server's; ``None`` where it was not asked.
        baseline: The other server's, if there is one.
        differences: Between what was expected and the answer.
        reason: Why it failed, or was not sent.
    """

    entry: Entry
    verdict: Verdict
    answer: Answer | None = None
    baseline: Answer | None = None
    differences: Sequence[Difference] = ()
    reason: str = ""


@dataclass(slots=True)
class Report:
    """Counts outcomes; what it keeps of each request is how long it took, 8 bytes."""

    verdicts: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    damaged: int = 0
    damage: list[Entry] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)
    _largest: list[tuple[tuple[float, int, int], Difference, Entry]] = field(default_factory=list)
    _seconds: "array[float]" = field(default_factory=lambda: array("d"))
    _baseline_seconds: "array[float]" = field(default_factory=lambda: array("d"))
    _order: int = 0

    def add(self, outcome: Outcome) -> None:
        """Counts what became of a request."""
        self.verdicts[outcome.verdict] += 1
        if outcome.verdict is Verdict.SKIPPED:
            self.reasons[outcome.reason] += 1
        if outcome.answer is not None:
            self.codes[outcome.answer.code] += 1
            self._seconds.append(outcome.answer.seconds)
        if outcome.baseline is not None:
            self._baseline_seconds.append(outcome.baseline.seconds)
        if outcome.verdict is Verdict.FAILED and len(self.failures) < _SHOWN:
            self.failures.append(outcome)
        for difference in outcome.differences:
            self._order -= 1  # no two are alike, so that nothing but numbers is compared
            add = heapq.heappushpop if len(self._largest) == _SHOWN else heapq.heappush
            # Of those that are as large the first are kept, in whatever order they are answered.
            rank = (difference.size, -outcome.entry.number, self._order)
            add(self._largest, (rank, difference, outcome.entry))

    def add_damaged(self, entry: Entry) -> None:
        """Counts a record that cannot be read."""
        self.damaged += 1
        if len(self.damage) < _SHOWN:
            self.damage.append(entry)

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self.verdicts.total() - self.verdicts[Verdict.SKIPPED]

    @property
    def passed(self) -> bool:
        """Whether something was sent, and nothing differs, failed, or could not be read."""
        bad = self.verdicts[Verdict.DIFFERENT] + self.verdicts[Verdict.FAILED] + self.damaged
        return self.sent > 0 and not bad

    def largest(self) -> list[tuple[Difference, Entry]]:
        """Returns the largest differences, the largest first."""
        return [(difference, entry) for _, difference, entry in sorted(self._largest, key=lambda one: one[0])[::-1]]

    def latencies(self) -> dict[str, dict[str, float]]:
        """Returns median and 99th percentile in seconds, of the server and of the baseline, if there is one."""
        known = {"against": self._seconds, "baseline": self._baseline_seconds}
        return {
            name: {"p50": float(np.percentile(seconds, 50)), "p99": float(np.percentile(seconds, 99))}
            for name, seconds in known.items()
            if seconds
        }

    def document(self) -> dict[str, Any]:
        """Returns all of it for machines; seconds are seconds, an infinite difference is ``null``."""
        return {
            "passed": self.passed,
            "sent": self.sent,
            **{str(verdict): self.verdicts[verdict] for verdict in Verdict},
            "damaged": self.damaged,
            "codes": dict(self.codes),
            "reasons": dict(self.reasons),
            "latency_seconds": self.latencies(),
            "differences": [
                {
                    **_place(entry),
                    **asdict(difference),
                    "size": difference.size if np.isfinite(difference.size) else None,
                }
                for difference, entry in self.largest()
            ],
            "failures": [
                {**_place(outcome.entry), "code": outcome.answer and outcome.answer.code, "message": outcome.reason}
                for outcome in self.failures
            ],
            "damage": [{**_place(entry), "fault": entry.fault} for entry in self.damage],
        }


def place(entry: Entry) -> str:
    """Returns where a record stands, for people."""
    return f"{Path(entry.file).name}, record {entry.number} at byte {entry.offset}"


def _place(entry: Entry) -> dict[str, Any]:
    return {"file": str(entry.file), "record": entry.number, "offset": entry.offset}
