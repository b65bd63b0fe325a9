"""What a run found, and how the rounds of it are put together."""

import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import Measured
from benchmarks.open_loop import OpenLoop


@dataclass(frozen=True, slots=True)
class Row:
    """What stands at the left of a table.

    Attributes:
        server: Its name.
        protocol: Name of the question.
    """

    server: str
    protocol: str


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst and what it cost.

    Attributes:
        measured: What the load saw.
        cpu: Milliseconds of processor time a request, of the server.
        backend_cpu: Likewise, of what is behind it.
    """

    measured: Measured
    cpu: float
    backend_cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several figures, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: list[float]) -> "Spread":
        """Puts the figures of all rounds together."""
        return cls(statistics.median(figures), min(figures), max(figures))


def _lists() -> defaultdict[Any, list[Any]]:
    return defaultdict(list)


@dataclass(slots=True)
class Compared:
    """The results of the rounds.

    Attributes:
        bursts: By row and requests at a time; one for each round.
        open_loop: Latencies at half of a row's capacity, in milliseconds; one for each round.
        idle: Memory by server, in MB, of each round: once it has answered its first request.
        memory: Likewise, after all bursts.
        start: By server, in seconds from its start to its first right answer.
        reasons: Why a row or a server has no figure.
    """

    bursts: dict[tuple[Row, int], list[Burst]] = field(default_factory=_lists)
    open_loop: dict[Row, list[OpenLoop]] = field(default_factory=_lists)
    idle: dict[str, list[float]] = field(default_factory=_lists)
    memory: dict[str, list[float]] = field(default_factory=_lists)
    start: dict[str, list[float]] = field(default_factory=_lists)
    reasons: dict[Row, str] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """Returns the rows with figures, in the order in which they came."""
        return list(dict.fromkeys(row for row, _ in self.bursts))

    def rate(self, row: Row, concurrency: int) -> Spread | None:
        """Returns the answers a second."""
        return self._spread(row, concurrency, lambda burst: burst.measured.rate)

    def p50(self, row: Row, concurrency: int) -> Spread | None:
        """Returns the latency that half of the answers had at most."""
        return self._spread(row, concurrency, lambda burst: burst.measured.p50)

    def p99(self, row: Row, concurrency: int) -> Spread | None:
        """Returns the latency that 99 of 100 answers had at most."""
        return self._spread(row, concurrency, lambda burst: burst.measured.p99)

    def cpu(self, row: Row, concurrency: int) -> Spread | None:
        """Returns the milliseconds of processor time a request, of the server."""
        return self._spread(row, concurrency, lambda burst: burst.cpu)

    def _spread(self, row: Row, concurrency: int, figure: Callable[[Burst], float]) -> Spread | None:
        bursts = self.bursts.get((row, concurrency))
        return Spread.of([figure(burst) for burst in bursts]) if bursts else None
