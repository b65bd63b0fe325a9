"""What was measured, as it is kept: the last run in `build`, and the published one beside this file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.processes import ROOT
from capacity.system import Cell, Runs

LAST, PUBLISHED = ROOT / "build" / "capacity.json", Path(__file__).with_name("measured.json")
EMBEDDED, TFSERVING = "embedded", "tfserving"
"""Backends: the gateway runs the models itself, or stands before replicas."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs.

    Attributes:
        backend: `EMBEDDED` or `TFSERVING`.
        model: That was asked.
        protocol: In which.
        size: Bytes of the message or the body.
        loop: Microseconds of the event loop's thread: what one process cannot do more of than there is time.
        others: Of all other threads of the process: HTTP/2, TensorFlow or the connections to replicas.
    """

    backend: str
    model: str
    protocol: str
    size: int
    loop: float
    others: float


@dataclass(frozen=True, slots=True)
class Tried:
    """How long requests took.

    Attributes:
        cell: Gateways and replicas.
        rate: Requests a second, of all gateways.
        mean: Seconds.
        p99: Seconds.
        merged: Requests of a run, on average.
        count: Of requests.
        failed: How many of all failed; the others alone are in the figures.
    """

    cell: Cell
    rate: float
    mean: float
    p99: float
    merged: float
    count: int
    failed: int


@dataclass(frozen=True, slots=True)
class Full:
    """As much as some gateways could answer, each with a replica of its own.

    Attributes:
        gateways: How many.
        rate: Answers a second, of all of them.
        cost: Microseconds of processor time that a request cost its gateway.
        cores: That all gateways used together.
    """

    gateways: int
    rate: float
    cost: float
    cores: float


@dataclass(frozen=True, slots=True)
class Idle:
    """What a gateway costs that nobody asks.

    Attributes:
        replica: Microseconds of processor time a second for each replica that it watches.
        http2: Bytes for each connection of a gRPC client.
        http1: Bytes for each connection of a REST client.
        series: Samples that Prometheus gets of it, with one model that was asked in one way, and one replica.
        replica_series: For each replica more.
    """

    replica: float
    http2: float
    http1: float
    series: int
    replica_series: int


@dataclass(frozen=True, slots=True)
class Costs:
    """What a request of some size costs a gateway.

    Attributes:
        size: Bytes of the message or the body.
        loop: Seconds of its event loop's thread.
        others: Seconds of all its other threads.
        embedded: Whether the model is run by them.
    """

    size: float
    loop: float
    others: float
    embedded: bool


@dataclass(slots=True)
class Measured:
    """A run.

    Attributes:
        about: How and where it was measured.
        costs: Of requests.
        tried: How long they took.
        full: How many could be answered.
        cnn: What a run of the benchmarks' CNN takes in a bare loop, on all cores.
        idle: What a gateway costs that nobody asks.
    """

    about: dict[str, str] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    full: list[Full] = field(default_factory=list)
    cnn: Runs | None = None
    idle: Idle | None = None

    def costs_of(self, backend: str, model: str, protocol: str, size: float | None = None) -> Costs:
        """Returns what a request costs.

        Between two sizes that were measured it is taken as a straight line, beyond the largest as in proportion.

        Args:
            backend: `EMBEDDED` or `TFSERVING`.
            model: That is asked.
            protocol: In which.
            size: In bytes; by default the smallest that was measured.

        Raises:
            LookupError: When none of these was measured.
        """
        known = sorted(
            (cost for cost in self.costs if (cost.backend, cost.model, cost.protocol) == (backend, model, protocol)),
            key=lambda cost: cost.size,
        )
        if not known:
            raise LookupError(f"not measured: {backend}, {model}, {protocol}")
        wanted = float(known[0].size if size is None else size)
        beyond = max(1.0, wanted / known[-1].size)
        sizes = [cost.size for cost in known]
        loop, others = (
            beyond * float(np.interp(wanted, sizes, values)) / 1e6
            for values in ([cost.loop for cost in known], [cost.others for cost in known])
        )
        return Costs(wanted, loop, others, embedded=backend == EMBEDDED)

    def save(self, file: Path) -> None:
        """Writes it to disk."""
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Measured":
        """Reads what was saved."""
        found = json.loads(file.read_text())
        return cls(
            found["about"],
            [Cost(**cost) for cost in found["costs"]],
            [Tried(**{**tried, "cell": Cell(**tried["cell"])}) for tried in found["tried"]],
            [Full(**full) for full in found["full"]],
            Runs(**found["cnn"]) if found["cnn"] else None,
            Idle(**found["idle"]) if found.get("idle") else None,
        )
