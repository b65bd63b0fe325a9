"""Floods of frames that cost their sender little: others are served meanwhile, and memory stays bounded."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http2 import SERVERS, connected
from tests.http2_floods import CLASSIFY, FLOODS, GOOD, pour
from tests.processes import ServerProcess, server_process

OK, CANCELLED = 0, 1
MOST_BYTES = 150 * 1024 * 1024
"""More than a server needs that has just served its first calls, and less than any of these floods would take up."""

UNDER_WAY = ("tensorgate_requests_in_flight", "tensorgate_streams_in_flight", "tensorgate_request_bytes_held")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.fakes:FakeBackend", "--grpc-server", request.param) as server:
        server.announcement()
        yield server
        assert server.stop() == 0


def memory(server: ServerProcess) -> int:
    """Returns how many bytes of memory the server has; 0 where the system does not say."""
    status = Path(f"/proc/{server.process.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def at_rest(rest: httpx.AsyncClient) -> dict[str, float]:
    """Returns what the server counts as being under way."""
    lines = (await rest.get("/metrics")).text.splitlines()
    counted = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name in UNDER_WAY}
    assert len(counted) == len(UNDER_WAY)
    return counted


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_keeps_nobody_else_from_being_served(server: ServerProcess, kind: str) -> None:
    port = int(server.grpc.rpartition(":")[2])
    async with connected(port) as other:
        assert (await other.call(CLASSIFY, GOOD)).status == OK
        before = memory(server)
        pouring = asyncio.gather(*(pour(port, FLOODS[kind]()) for _ in range(3)))
        served = 0
        while not pouring.done() or served < 10:
            # grpcio refuses some at random, in its own words, while more wait than it holds.
            status = (await other.call(CLASSIFY, GOOD)).status
            assert status == OK or (status == CANCELLED and "grpcio" in str(server.process.args))
            served += status == OK
        await pouring
        assert memory(server) < before + MOST_BYTES
    assert server.process.poll() is None
    async with httpx.AsyncClient(base_url=server.rest, timeout=30) as rest, asyncio.timeout(30):
        while any((await at_rest(rest)).values()):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
