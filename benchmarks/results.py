"""What a run found: figures with names, each once for each round."""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path

Rounds = Mapping[int, float]
"""A figure by the number of the round."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a figure is of.

    Attributes:
        server: Or whatever else was measured.
        what: ``rate`` (requests/s), ``p50``, ``p99``, ``cpu`` (ms), ``memory at first``, ``memory`` (MB) ...
        protocol: Name of the question, where there is one.
        concurrency: Requests in flight, likewise.
    """

    server: str
    what: str
    protocol: str = ""
    concurrency: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of several figures, and how far they lie apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Rounds) -> "Spread | None":
        """Puts all rounds together; there is nothing to put together of none."""
        figures = list(rounds.values())
        return cls(statistics.median(figures), min(figures), max(figures)) if figures else None


@dataclass(slots=True)
class Results:
    """All figures of a run.

    Attributes:
        figures: By what they are of, by round.
        reasons: Why a server, or its row of a protocol, lacks figures.
        about: How and where it was measured, for the report.
    """

    figures: dict[Figure, dict[int, float]] = field(default_factory=dict)
    reasons: dict[tuple[str, str], str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    def add(self, number: int, figure: Figure, value: float) -> None:
        """Adds a figure of a round."""
        self.figures.setdefault(figure, {})[number] = value

    def of(self, server: str, what: str, protocol: str = "", concurrency: int = 0) -> Rounds:
        """Returns a figure of each round that has it."""
        return self.figures.get(Figure(server, what, protocol, concurrency), {})

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yields servers with protocols that have requests/s, in the order in which they came."""
        yield from dict.fromkeys((each.server, each.protocol) for each in self.figures if each.what == "rate")

    def save(self, file: Path) -> None:
        """Writes it to disk, so that a report can be written again."""
        figures = [[*astuple(figure), rounds] for figure, rounds in self.figures.items()]
        reasons = [[*row, reason] for row, reason in self.reasons.items()]
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"figures": figures, "reasons": reasons, "about": self.about}, indent=1))

    @classmethod
    def load(cls, file: Path) -> "Results":
        """Reads what was saved."""
        found = json.loads(file.read_text())
        figures = {
            Figure(*names): {int(number): value for number, value in rounds.items()}
            for *names, rounds in found["figures"]
        }
        reasons = {(server, protocol): reason for server, protocol, reason in found["reasons"]}
        return cls(figures, reasons, found["about"])


def ratio(numerator: Rounds, denominator: Rounds) -> Rounds:
    """Returns the ratio of two figures in each round that has both."""
    return {number: value / denominator[number] for number, value in numerator.items() if number in denominator}


def difference(one: Rounds, other: Rounds) -> Rounds:
    """Returns what one figure is above another in each round that has both."""
    return {number: value - other[number] for number, value in one.items() if number in other}
