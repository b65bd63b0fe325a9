"""Several workers in front of a replica of TensorFlow Serving."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.conftest import until
from tests.processes import server_process
from tests.replicas import Replica, replicas
from tests.workers import Workers, samples, total

ANSWERED = "tensorgate_replica_requests_total"


@asynccontextmanager
async def workers_before(replica: Replica) -> AsyncIterator[Workers]:
    """Two workers in front of the replica, once both serve."""
    options = ["--backend", "tfserving", "--tfserving-addresses", replica.address, "--tfserving-models", "m"]
    with server_process("--workers", "2", *options) as server:
        await asyncio.to_thread(server.announcement)
        yield Workers(server)
        assert await asyncio.to_thread(server.stop) == 0


async def ask(server: Workers) -> int | None:
    """Returns the status of an inference over a connection of its own, None if that was reset."""
    async with httpx.AsyncClient(base_url=server.server.rest, timeout=30) as client:
        try:
            return (await client.post("/v1/models/m:predict", json={"instances": [1.0]})).status_code
        except httpx.TransportError:
            return None


async def told(server: Workers) -> dict[str, float]:
    """Returns what a scrape tells."""

    def scrape() -> dict[str, float]:
        with httpx.Client(base_url=server.server.rest) as client:
            return samples(client)

    return await asyncio.to_thread(scrape)


async def test_what_all_workers_asked_of_a_replica_is_told_together() -> None:
    async with replicas(Replica(1)) as (replica,), workers_before(replica) as server:
        first = await told(server)
        assert total(first, "tensorgate_replica_state") == 1
        assert total(first, ANSWERED, 'code="ok"') == len(replica.asked)
        assert [await ask(server) for _ in range(16)] == [200] * 16
        last = await told(server)
        assert total(last, ANSWERED, 'code="ok"') == len(replica.asked)
        assert total(last, "tensorgate_request_duration_seconds_count", 'code="ok"') == 16


async def test_a_worker_that_comes_back_refuses_nobody_while_it_begins() -> None:
    async with replicas(Replica(1)) as (replica,), workers_before(replica) as server:
        before = server.processes()
        statuses: list[int | None] = []
        ending = asyncio.Event()

        async def load() -> None:
            while not ending.is_set():
                statuses.append(await ask(server))

        loading = [asyncio.create_task(load()) for _ in range(4)]
        os.kill(before[0], signal.SIGKILL)

        def listening() -> int:
            return len(server.logged("listening: REST"))

        await until(lambda: listening() == 3, seconds=60)
        enough = len(statuses) + 40
        await until(lambda: len(statuses) > enough, seconds=60)
        ending.set()
        await asyncio.gather(*loading)
        assert set(statuses[-30:]) == {200}
        assert set(statuses) <= {200, None}
        assert server.processes()[0] != before[0]
