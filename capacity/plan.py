"""How many gateways, replicas and cores so many requests a second take."""

import math
from dataclasses import dataclass

from capacity.latency import Latency, latency
from capacity.measured import Costs
from capacity.system import Cell, Runs, System

UTILISATION = 0.7
"""Of event loops, of full runs and of cores: what is left is for peaks, and for what a lost one would have done."""
LEAST = 2
"""Gateways and replicas: one may be lost."""
_MORE = 1.1
"""By how much the number of replicas may grow: from one try to the next, and for cells of fewer gateways."""
_MOST = 64
"""Times as many replicas as the load takes are tried; with so many of them all runs are of one request."""


class UnreachableError(ValueError):
    """No number of replicas answers in time; the message says why."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked for.

    Attributes:
        rate: Requests a second.
        p99: Seconds in which 99 of 100 are to be answered.
        runs: What a run of a replica takes, of so many requests; of a gateway that runs the models itself, of that.
        costs: Of a request, to its gateway.
        places: Runs that a gateway may have under way on a replica of its own (``max_batches_per_model``): one more
            than is run, so that the next is there. Gateways that share a replica have one each, and do that together.
        utilisation: At most, of event loops, of full runs and of cores.
    """

    rate: float
    p99: float
    runs: Runs
    costs: Costs
    places: int = 2
    utilisation: float = UTILISATION


@dataclass(frozen=True, slots=True)
class Plan:
    """What it takes.

    Attributes:
        gateways: Processes.
        replicas: Likewise; none where gateways run the models.
        system: One of the cells into which they are divided: its gateways ask its replicas, and no others.
        latency: Of a request.
        cores: Of all gateways, at the utilisation that was asked for.
        bits: A second, of requests, as they reach the gateways.
        together: The latency where all gateways ask all replicas, in place of cells, with the places of replicas of
            their own; none where there is one cell.
    """

    gateways: int
    replicas: int
    system: System
    latency: Latency
    cores: float
    bits: float
    together: Latency | None

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self.gateways // self.system.cell.gateways

    @property
    def loop(self) -> float:
        """The share of the time in which an event loop is busy."""
        return self.system.rate / self.system.cell.gateways * self.system.loop

    @property
    def waiting(self) -> float:
        """Requests that wait for a run or are in one, of each gateway: ``tensorgate_load``, by Little's law."""
        return self.system.rate / self.system.cell.gateways * self.latency.in_runs


def plan(demand: Demand) -> Plan:
    """Returns the fewest gateways and replicas that answer in time, at that utilisation.

    Raises:
        UnreachableError: When no number of replicas does.
    """
    gateways = max(LEAST, math.ceil(demand.rate * demand.costs.loop / demand.utilisation))
    least = max(LEAST, math.ceil(demand.rate / demand.runs.most_rate / demand.utilisation))
    replicas = least
    while True:
        system, cells = _divided(demand, gateways, replicas)
        found = latency(system)
        if found.p99 <= demand.p99:
            return _plan(demand, system, cells, found)
        if replicas > _MOST * least:
            raise UnreachableError(
                f"no number of replicas answers 99 of 100 requests in {1000 * demand.p99:g} ms: with"
                f" {cells * system.cell.replicas:,} of them it is {1000 * found.p99:.1f} ms, as a run of one takes"
                f" {1000 * demand.runs.seconds(1):g} ms, and the event loop {1000 * demand.costs.loop:.2g} ms"
            )
        replicas = max(replicas + 1, math.ceil(replicas * _MORE))


def _divided(demand: Demand, gateways: int, replicas: int) -> tuple[System, int]:
    """Returns one of the smallest cells into which so many can be divided, all alike, and how many of them."""
    costs, runs = demand.costs, demand.runs
    if costs.embedded:  # each gateway is its own replica, and runs one batch of a model at a time
        cells, cell = max(gateways, replicas), Cell(places=1)
    elif gateways > replicas:
        each = gateways // replicas
        if each * replicas * _MORE < gateways:  # else some replicas more take fewer gateways to one
            each += 1
        cells = max(replicas, math.ceil(gateways / each))
        cell = Cell(each, 1, 1 if each > 1 else demand.places)
    else:
        each = replicas // gateways
        cells, cell = math.ceil(replicas / each), Cell(1, each, demand.places)
    return System(demand.rate / cells, cell, runs, costs.loop), cells


def _plan(demand: Demand, system: System, cells: int, found: Latency) -> Plan:
    costs, cell = demand.costs, system.cell
    gateways, replicas = cells * cell.gateways, cells * cell.replicas
    everybody = System(demand.rate, Cell(gateways, replicas, demand.places), demand.runs, costs.loop)
    return Plan(
        gateways=gateways,
        replicas=0 if costs.embedded else replicas,
        system=system,
        latency=found,
        cores=demand.rate * (costs.loop + costs.others) / demand.utilisation,
        bits=8 * demand.rate * costs.size,
        together=latency(everybody) if cells > 1 and not costs.embedded else None,
    )
