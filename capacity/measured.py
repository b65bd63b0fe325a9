"""What was measured, and its files: the last measurement in `build`, the published one beside this module."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.processes import ROOT
from capacity.system import Cell, Runs

LAST, PUBLISHED = ROOT / "build" / "capacity.json", Path(__file__).with_name("measured.json")
PARTS = ("costs", "latencies", "full", "idle")
"""What can be measured by itself."""
EMBEDDED, TFSERVING = "embedded", "tfserving"
"""Backends: the gateway runs the model itself, or has replicas run it."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request costs a gateway, as it was measured.

    Attributes:
        backend: `EMBEDDED` or `TFSERVING`.
        model: The model that was called.
        protocol: The protocol in which it was called.
        size: Bytes of the message or the body.
        loop: Microseconds of the event loop's thread, of which a process has only one.
        others: Microseconds of all other threads of the process: HTTP/2, TensorFlow or the connections to replicas.
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
        merged: Requests in a run, on average.
        count: Requests in these figures, none of which failed.
        failed: Requests that failed.
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
    """The most that some gateways could answer, each with a replica of its own.

    Attributes:
        gateways: How many.
        rate: Answers a second, of all of them.
        cost: Microseconds of processor time that a request cost its gateway.
        cores: Cores that all gateways used together.
    """

    gateways: int
    rate: float
    cost: float
    cores: float


@dataclass(frozen=True, slots=True)
class Idle:
    """What a gateway costs without any request.

    Attributes:
        replica: Microseconds of processor time a second for each replica that it probes.
        http2: Bytes for each connection of a gRPC client.
        http1: Bytes for each connection of a REST client.
        series: Samples in a scrape by Prometheus, with one model that was called in one protocol, and one replica.
        replica_series: Samples more for each further replica.
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
        embedded: Whether the gateway runs the model itself.
    """

    size: float
    loop: float
    others: float
    embedded: bool


@dataclass(slots=True)
class Measured:
    """All figures, of one measurement or of several, as each may be of some parts only.

    Attributes:
        about: How and where each of the `PARTS` was measured.
        costs: Of requests.
        tried: How long requests took: the part ``latencies``.
        full: The most that could be answered.
        cnn: How long a run of the benchmarks' CNN takes in a bare loop, on all cores; measured with the costs.
        idle: What a gateway costs without any request.
    """

    about: dict[str, dict[str, str]] = field(default_factory=dict)
    costs: list[Cost] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    full: list[Full] = field(default_factory=list)
    cnn: Runs | None = None
    idle: Idle | None = None

    def costs_of(self, backend: str, model: str, protocol: str, size: float | None = None) -> Costs:
        """Returns what a request costs.

        Costs are interpolated between the sizes that were measured, and proportional to the size beyond the largest.

        Args:
            backend: `EMBEDDED` or `TFSERVING`.
            model: The model that is called.
            protocol: The protocol in which it is called.
            size: Bytes; by default the smallest size that was measured.

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
        """Writes it to a file."""
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, file: Path) -> "Measured":
        """Reads what was saved."""
        found = json.loads(file.read_text())
        about = found["about"]
        if "machine" in about:  # an older file, which says it once for all parts
            about = dict.fromkeys(PARTS, about)
        return cls(
            about,
            [Cost(**cost) for cost in found["costs"]],
            [Tried(**{**tried, "cell": Cell(**tried["cell"])}) for tried in found["tried"]],
            [Full(**full) for full in found["full"]],
            Runs(**found["cnn"]) if found["cnn"] else None,
            Idle(**found["idle"]) if found.get("idle") else None,
        )
