"""What a gateway costs without any request: for each replica that it probes, and for each open connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from benchmarks.asking import check
from benchmarks.questions import OIP_RPC
from capacity.costs import Spent
from capacity.measured import Idle
from capacity.model import INPUT, MODEL, SIZES, examples
from capacity.servers import gateway, replica
from capacity.system import Runs
from reliability.servers import Server, Starter

_FEW, _MANY = 1, 9
"""Replicas."""
_SECONDS = 10.0
_CONNECTIONS = 400
_RUNS = Runs(0.001, 0, 128)
_QUESTION = OIP_RPC.to(MODEL, INPUT, (1, SIZES[0]))
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""How a client begins: the preface, and an empty SETTINGS frame."""
_HTTP1 = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def measure(start: Starter) -> Idle:
    """Measures it on gateways that have just started."""
    replicas = [await replica(start, f"watched-{number}", _RUNS) for number in range(_MANY)]
    few = await gateway(start, "watches-few", replicas[:_FEW])
    many = await gateway(start, "watches-many", replicas)
    used = [await _idly(server) for server in (few, many)]
    series = [await _series(server) for server in (few, many)]
    grpc, rest = [await _held(few, address, begin) for address, begin in ((few.grpc, _HTTP2), (few.rest, _HTTP1))]
    await asyncio.gather(*(server.stop() for server in (few, many, *replicas)))
    more = _MANY - _FEW
    return Idle(1e6 * (used[1] - used[0]) / more, grpc, rest, series[0], round((series[1] - series[0]) / more))


async def _idly(server: Server) -> float:
    """Returns the seconds of processor time that an idle server uses in a second."""
    before = Spent.by(server)
    await asyncio.sleep(_SECONDS)
    return (Spent.by(server).all - before.all) / _SECONDS


async def _series(server: Server) -> int:
    """Returns the samples in a scrape by Prometheus, once all replicas were called, which happens in turn."""
    for _ in range(2 * _MANY):
        await asyncio.to_thread(check, _QUESTION, server.grpc, examples(SIZES[0]), count=1)
    async with httpx.AsyncClient() as client:
        lines = (await client.get(f"http://{server.rest}/metrics")).text.splitlines()
    return sum(not line.startswith("#") for line in lines)


async def _held(server: Server, address: str, begin: bytes) -> float:
    """Returns the bytes of memory for a connection on which a client has sent its first bytes."""
    # The first ones use memory that the server had allocated before.
    async with _connections(address, begin, _CONNECTIONS):
        before = await server.memory()
        more = 4 * _CONNECTIONS
        async with _connections(address, begin, more):
            return 1e6 * (await server.memory() - before) / more


@asynccontextmanager
async def _connections(address: str, begin: bytes, count: int) -> AsyncIterator[None]:
    host, _, port = address.rpartition(":")
    writers = []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(host, int(port))
            writers.append(writer)
            writer.write(begin)
            await reader.read(1)  # it has answered
        yield
    finally:
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
