"""What happens when something fails while clients go on asking, measured: the table in docs/operations.md."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from reliability.load import OVERLOADED, WRONG, Outcomes
from tests.compose.conftest import WholeSystem
from tests.compose.faults import FAULTS, Fault
from tests.compose.steady_load import Array, SteadyLoad

pytestmark = [pytest.mark.compose, pytest.mark.timeout(400)]

_RATE = 60.0
"""Requests a second: about a third of what two cores serve, load included."""
_BEFORE = 3.0
_BROKEN = 8.0
_AFTER = 4.0
_WELL_SECONDS = 90.0
_ENOUGH = 0.999


async def wait_until(condition: Callable[[], Awaitable[bool]], *, seconds: float = _WELL_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # what is waited for is in other processes
            await asyncio.sleep(0.2)


def report(what: str, outcomes: Outcomes, *, last_failure: float, well: float) -> None:
    """Prints a row of the table; and appends it to the file that TENSORGATE_TEST_FAULTS names."""
    row = {
        "fault": what,
        "requests": len(outcomes.answers),
        "failed": dict(outcomes.failures()),
        "longest": round(outcomes.longest(), 2),
        "last_failure": round(last_failure, 1),
        "well": round(well, 1),
    }
    print("\n" + json.dumps(row))  # noqa: T201  # figures for the table, shown by -s and on failure
    if name := os.environ.get("TENSORGATE_TEST_FAULTS"):
        with Path(name).open("a") as file:
            file.write(json.dumps(row) + "\n")


def check(outcomes: Outcomes) -> None:
    """Nothing hangs, gets another request's answer, or fails without a meaning."""
    assert outcomes.hanging() == 0
    assert outcomes.failures()[WRONG] == 0
    meanings = (OVERLOADED, "gRPC UNAVAILABLE", "gRPC DEADLINE_EXCEEDED", "HTTP 503", "HTTP 504")
    assert [code for code in outcomes.failures() if not code.startswith(meanings)] == []


async def serving_replicas(gateway: str) -> int:
    """Returns how many replicas a gateway sends requests to; 0 while it does not answer."""
    async with httpx.AsyncClient() as client:
        try:
            text = (await client.get(f"http://{gateway}/metrics")).text
        except httpx.TransportError:
            return 0
    rows = (line for line in text.splitlines() if line.startswith("tensorgate_replica_state{"))
    return sum('state="serving"' in row and row.endswith(" 1.0") for row in rows)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_one_of_two_replicas_fails(system: WholeSystem, scores: Array, fault: Fault) -> None:
    gateway = system.engine_containers("gateway")[0]
    rest, grpc = (system.published(gateway, port) for port in (8000, 8001))

    async def whole() -> bool:
        return await serving_replicas(rest) == 2

    await wait_until(whole)
    replica = system.engine_containers("tfserving")[1]
    load = SteadyLoad(rest=f"http://{rest}", address=grpc, scores=scores, rate=_RATE)
    async with load.running() as outcomes:
        await asyncio.sleep(_BEFORE)
        began = time.monotonic()
        await asyncio.to_thread(fault.make, replica)
        await asyncio.sleep(_BROKEN)
        await asyncio.to_thread(fault.mend, replica)
        mended = time.monotonic()
        await wait_until(whole)
        well = time.monotonic() - mended
        await asyncio.sleep(_AFTER)
    report(f"a replica is {fault.name}", outcomes, last_failure=outcomes.last_failure_after(began), well=well)
    check(outcomes)
    assert outcomes.success() >= _ENOUGH, outcomes.failures()


async def test_a_gateway_behind_another_one_is_restarted(system: WholeSystem, scores: Array) -> None:
    async def whole() -> bool:
        return await serving_replicas(system.edge_rest.removeprefix("http://")) == 2

    await wait_until(whole)
    load = SteadyLoad(rest=system.edge_rest, address=system.edge_grpc, scores=scores, rate=_RATE)
    async with load.running() as outcomes:
        await asyncio.sleep(_BEFORE)
        began = time.monotonic()
        gateway = system.engine_containers("gateway")[0]
        await asyncio.to_thread(gateway.restart, timeout=60)
        mended = time.monotonic()
        await wait_until(whole)
        well = time.monotonic() - mended
        await asyncio.sleep(_AFTER)
    report(
        "a gateway is restarted behind another one",
        outcomes,
        last_failure=outcomes.last_failure_after(began),
        well=well,
    )
    check(outcomes)
    assert outcomes.success() >= _ENOUGH, outcomes.failures()


async def test_every_container_is_rolled(system: WholeSystem, scores: Array) -> None:
    """One container after the other is stopped and started; the one that clients talk to is the only one that stays."""

    async def whole() -> bool:
        gateways = [system.published(container, 8000) for container in system.engine_containers("gateway")]
        behind = [await serving_replicas(gateway) for gateway in gateways]
        return [*behind, await serving_replicas(system.edge_rest.removeprefix("http://"))] == [2, 2, 2]

    await wait_until(whole)
    load = SteadyLoad(rest=system.edge_rest, address=system.edge_grpc, scores=scores, rate=_RATE / 2)
    async with load.running() as outcomes:
        began = time.monotonic()
        for service in ("tfserving", "gateway"):
            for container in system.engine_containers(service):
                await asyncio.to_thread(container.stop, timeout=60)
                await asyncio.to_thread(container.start)
                await wait_until(whole)
        well = time.monotonic() - began
        await asyncio.sleep(_AFTER)
    report("every container is rolled", outcomes, last_failure=outcomes.last_failure_after(began), well=well)
    check(outcomes)
    assert outcomes.success() >= _ENOUGH, outcomes.failures()
