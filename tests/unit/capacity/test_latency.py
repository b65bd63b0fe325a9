"""The formulas beside the simulation, and the simulation beside what is known."""

from dataclasses import replace

import pytest

from capacity.latency import latency
from capacity.queueing import OverloadError, mean_wait
from capacity.simulation import simulate
from capacity.system import Cell, Runs, System

GPU = Runs(fixed=0.003, each=0.0000625, most=32)
REQUESTS = 8_000


def _at(load: float, cell: Cell, runs: Runs = GPU, loop: float = 0) -> System:
    return System(load * cell.replicas * runs.most_rate, cell, runs, loop)


def test_a_replica_of_single_requests_is_the_queue_that_is_known() -> None:
    """M/D/1: the places change nothing where nothing is merged."""
    system = _at(0.7, Cell(places=1), Runs(0.01, 0, 1))
    seen = simulate(system, requests=4 * REQUESTS)
    assert seen.mean == pytest.approx(0.01 + mean_wait(system.rate, 0.01), rel=0.07)
    assert seen.device == pytest.approx(0.7, rel=0.05)
    assert seen.mean_merged == 1


def test_four_replicas_of_single_requests() -> None:
    """M/D/4, by Allen and Cunneen."""
    system = _at(0.8, Cell(1, 4, 1), Runs(0.01, 0, 1))
    seen = simulate(system, requests=4 * REQUESTS)
    assert seen.mean == pytest.approx(0.01 + mean_wait(system.rate, 0.01, 4), rel=0.07)


@pytest.mark.parametrize("load", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("cell", [Cell(1, 1, 1), Cell(1, 1, 2), Cell(1, 4, 2), Cell(3, 1, 2), Cell(2, 2, 1)])
def test_the_formulas_are_near_the_simulation(cell: Cell, load: float) -> None:
    system = _at(load, cell)
    seen, said = simulate(system, requests=REQUESTS), latency(system)
    assert said.mean == pytest.approx(seen.mean, rel=0.15)
    assert 0.9 * seen.quantile(0.99) < said.p99 < 1.4 * seen.quantile(0.99)
    assert system.merged == pytest.approx(seen.mean_merged, rel=0.1)


def test_an_event_loop_that_is_busy() -> None:
    """What it adds is on the safe side, and not far."""
    runs = Runs(fixed=0.0001, each=0, most=32)
    system = System(4_000, Cell(), runs, loop=0.00015)
    seen, said = simulate(system, requests=2 * REQUESTS), latency(system)
    assert seen.loop == pytest.approx(0.6, rel=0.05)
    assert seen.mean < said.mean < 2 * seen.mean
    assert said.p99 > seen.quantile(0.99)


def test_gateways_that_share_replicas_wait_for_each_other() -> None:
    one, four = (latency(_at(0.7, Cell(gateways, 1))) for gateways in (1, 4))
    assert 3.5 * one.mean < four.mean < 4.5 * one.mean


def test_replicas_that_are_hardly_asked_run_each_request_alone() -> None:
    said = latency(System(1, Cell(), GPU, loop=0.0001))
    assert said.mean == pytest.approx(GPU.seconds(1) + 0.0001, rel=0.02)
    assert said.in_runs == pytest.approx(GPU.seconds(1), rel=0.02)


@pytest.mark.parametrize("load", [1.0, 1.2])
def test_more_than_replicas_can_answer_is_refused(load: float) -> None:
    with pytest.raises(OverloadError, match=f"{load:.0%} of what can be served comes"):
        latency(_at(load, Cell(2, 3)))


def test_more_than_an_event_loop_can_do_is_refused() -> None:
    system = _at(0.5, Cell(1, 4), loop=0.0001)
    with pytest.raises(OverloadError, match="128% of what can be served comes"):
        latency(system)
    assert latency(replace(system, cell=Cell(2, 4))).mean > 0


def test_the_same_seed_gives_the_same() -> None:
    system = _at(0.7, Cell(2, 2), loop=0.00001)
    one, same, other = (simulate(system, requests=500, seed=seed) for seed in (1, 1, 2))
    assert one == same != other


def test_runs_settle_where_as_many_come_as_are_answered() -> None:
    rate = 4000.0
    settled = GPU.settled(rate)
    assert rate * GPU.seconds(settled) == pytest.approx(settled)
    assert GPU.settled(1) == 1
    assert GPU.settled(2 * GPU.most_rate) == 32
