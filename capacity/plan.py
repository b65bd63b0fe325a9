"""How many gateways, replicas and cores a load takes."""

import math
from dataclasses import dataclass
from itertools import product

from capacity.latency import Latency, latency
from capacity.measured import Costs
from capacity.system import Cell, Runs, System

UTILISATION = 0.7
"""Of event loops, of full runs and of cores: the rest is for peaks, and for the load of one that is lost."""
LEAST = 2
"""Gateways and replicas: one may be lost."""
_MORE = 1.1
"""The step from one number of gateways or replicas to the next; also how many more replicas cells of fewer gateways
may take."""
_IDLE = 0.01
"""Utilisation of the largest numbers that are tried: beyond them, requests are not answered noticeably sooner."""


class UnreachableError(ValueError):
    """No number of gateways and replicas answers in time; the message says why."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What the system must be able to do.

    Attributes:
        rate: Requests a second.
        p99: Seconds within which 99 of 100 requests are answered.
        runs: How long a run takes: on a replica, or on a gateway that runs the model itself.
        costs: What a request costs its gateway.
        places: Runs that a gateway may have under way on a replica of its own (``max_batches_per_model``): one more
            than the replica runs, so that the next one is there in time. Gateways that share a replica have one each.
        utilisation: The limit for event loops, full runs and cores.
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
        replicas: Processes; 0 where gateways run the model themselves.
        system: One of the cells into which they are divided: its gateways call its replicas, and no others.
        latency: Of a request.
        cores: Of all gateways, at the utilisation that was asked for.
        bits: Of the requests that reach the gateways, per second.
        together: The latency if all gateways called all replicas, with `Demand.places` on each; ``None`` where there is
            one cell.
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
        """The number of cells."""
        return self.gateways // self.system.cell.gateways

    @property
    def loop(self) -> float:
        """The share of the time in which an event loop is busy."""
        return self.system.rate / self.system.cell.gateways * self.system.loop

    @property
    def waiting(self) -> float:
        """Requests of each gateway that wait for a run or are in one: ``tensorgate_load``, by Little's law."""
        return self.system.rate / self.system.cell.gateways * self.latency.in_runs


def plan(demand: Demand) -> Plan:
    """Returns the fewest gateways and replicas, counted together, that answer in time at that utilisation.

    Raises:
        UnreachableError: When no number of them does.
    """
    rate, loop, runs = demand.rate, demand.costs.loop, demand.runs
    gateways = _numbers(rate * loop / demand.utilisation, rate * loop / _IDLE)
    replicas = _numbers(rate / runs.most_rate / demand.utilisation, rate * runs.seconds(1) / _IDLE)
    divided = [_divided(demand, *numbers) for numbers in product(gateways, replicas)]
    idlest, one = latency(divided[-1][0]).p99, runs.seconds(1)
    if idlest > demand.p99:
        raise UnreachableError(
            f"no number of processes answers 99 of 100 requests in {1000 * demand.p99:g} ms: where hardly any is busy"
            f" it is {1000 * idlest:.2f} ms, {1000 * one:.2f} ms for a run of one request and"
            f" {1000 * (idlest - one):.2f} ms in the event loop"
        )
    return next(
        _plan(demand, system, cells)
        for system, cells in sorted(divided, key=_processes)
        if latency(system).p99 <= demand.p99
    )


def _numbers(least: float, most: float) -> list[int]:
    """Returns the numbers of gateways or of replicas to try."""
    numbers = [max(LEAST, math.ceil(least))]
    while numbers[-1] < most:
        numbers.append(max(numbers[-1] + 1, math.ceil(numbers[-1] * _MORE)))
    return numbers


def _processes(divided: tuple[System, int]) -> tuple[int, int]:
    """Returns how many processes there are in all, and how many of them are replicas: the order of preference."""
    system, cells = divided
    return cells * (system.cell.gateways + system.cell.replicas), cells * system.cell.replicas


def _divided(demand: Demand, gateways: int, replicas: int) -> tuple[System, int]:
    """Returns the smallest cell into which they can be divided, all cells being alike, and the number of cells.

    There may be some more gateways or replicas in all than were asked for, as cells are whole.
    """
    costs, runs = demand.costs, demand.runs
    if costs.embedded:  # each gateway is its own replica, and runs one batch of a model at a time
        cells, cell = max(gateways, replicas), Cell(places=1)
    elif gateways > replicas:
        each = gateways // replicas
        if each * replicas * _MORE < gateways:  # otherwise a few more replicas keep the gateways of each fewer
            each += 1
        cells = max(replicas, math.ceil(gateways / each))
        cell = Cell(each, 1, 1 if each > 1 else demand.places)
    else:
        each = replicas // gateways
        cells = math.ceil(replicas / each)
        cell = Cell(1, each, demand.places)
    return System(demand.rate / cells, cell, runs, costs.loop), cells


def _plan(demand: Demand, system: System, cells: int) -> Plan:
    costs, cell = demand.costs, system.cell
    gateways, replicas = cells * cell.gateways, cells * cell.replicas
    everybody = System(demand.rate, Cell(gateways, replicas, demand.places), demand.runs, costs.loop)
    return Plan(
        gateways=gateways,
        replicas=0 if costs.embedded else replicas,
        system=system,
        latency=latency(system),
        cores=demand.rate * (costs.loop + costs.others) / demand.utilisation,
        bits=8 * demand.rate * costs.size,
        together=latency(everybody) if cells > 1 and not costs.embedded else None,
    )
