"""Clients that connect and do nothing, and clients that leave in mid-call, while others are asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

from reliability.asking import DEADLINE, MODEL, client, infer_request
from reliability.findings import Finding
from reliability.load import OK, Outcomes, steady
from reliability.options import Work
from reliability.servers import Server, starter, until
from tests.http2 import connected, grpc_headers, message

_FULL_IDLE, _FULL_IDLE_SECONDS = 512, 30.0
_FULL_LEAVING = 5_000
_WARM_UP = 0.2
"""Share of those who leave that come before memory is looked at."""
_RATE, _LEAVING_RATE = 20.0, 25.0
"""Requests and leavers a second: what all of them ask for is half of what the server can do."""
_GROWTH = 0.05
_INFER = "/inference.GRPCInferenceService/ModelInfer"
_GAUGES = ("tensorgate_requests_in_flight", "tensorgate_streams_in_flight", "tensorgate_request_bytes_held")

Leave = Callable[[Server, int], Coroutine[None, None, None]]


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line for either kind of client."""
    async with starter(work.folder, work.models) as start:
        server = await start.tensorgate("server", "--log-level", "error", "--max-queue-size", 1000)
        await server.started()
        async with _asked(server):
            await asyncio.sleep(1)  # what it opens once and for all is open by then
        await asyncio.sleep(1)
        idle = await _idle(server, work.count(_FULL_IDLE, least=32), work.seconds(_FULL_IDLE_SECONDS))
        leaving = await _leaving(server, work.count(_FULL_LEAVING, least=60))
    return [idle, leaving]


@asynccontextmanager
async def _asked(server: Server) -> AsyncIterator[Outcomes]:
    """Asks it as others do while the body runs, on connections that are closed then."""
    async with (
        client(server.rest, server.grpc) as asking,
        steady(asking.ask, rate=_RATE, deadline=DEADLINE) as outcomes,
    ):
        yield outcomes


async def _idle(server: Server, count: int, seconds: float) -> Finding:
    before = server.descriptors()
    opened = []
    async with _asked(server) as outcomes:
        try:
            for number in range(count):
                host, _, port = (server.rest, server.grpc)[number % 2].rpartition(":")
                opened.append((await asyncio.open_connection(host, int(port)))[1])
            meanwhile = server.descriptors()
            await asyncio.sleep(seconds)
        finally:
            for writer in opened:
                writer.close()
    after = await _settled(server, before)
    return Finding(
        f"{count:,} clients that connect and do nothing, for {seconds:.0f} s, half on each port",
        "nothing is left of them; others: all right",
        f"{before} descriptors before, {meanwhile} with them, {after} afterwards; {_others(outcomes)}",
        after <= before and outcomes.success() == 1,
    )


async def _leaving(server: Server, count: int) -> Finding:
    kinds: list[Leave] = [_after_a_request, _amid_a_request, _after_a_call, _amid_a_call]
    before = server.descriptors()
    first = round(_WARM_UP * count)
    memory = 0.0
    async with _asked(server) as outcomes, asyncio.TaskGroup() as leaving:
        for number in range(count):
            if number == first:
                memory = await server.memory()
            leaving.create_task(kinds[number % len(kinds)](server, number))
            await asyncio.sleep(1 / _LEAVING_RATE)
    descriptors = await _settled(server, before)
    grown = await server.memory()

    async def held() -> float:
        return sum([await server.metric(name) for name in _GAUGES])

    async def nothing_is_held() -> bool:
        return await held() == 0

    with suppress(RuntimeError):
        await until(nothing_is_held, "nothing is held", seconds=10)
    left = await held()
    growth = grown / memory - 1
    return Finding(
        f"{count:,} clients that leave in mid-call: over HTTP/1.1 and gRPC, with half of a request sent or all of it",
        f"no request, byte or descriptor is left; memory at most {_GROWTH:+.0%}; others: all right",
        f"{left:.0f} requests and bytes held, {descriptors - before:+d} descriptors, memory {growth:+.1%}"
        f" ({memory:.0f} to {grown:.0f} MB); {_others(outcomes)}",
        left == 0 and descriptors <= before and growth <= _GROWTH and outcomes.success() == 1,
    )


async def _settled(server: Server, before: int) -> int:
    """Waits until there are no more descriptors than before, for a while; returns how many there are."""
    with suppress(RuntimeError):
        await until(lambda: server.descriptors() <= before, "connections closed", seconds=10)
    return server.descriptors()


def _others(outcomes: Outcomes) -> str:
    failures = outcomes.failures()
    more = "".join(f" ({number} {code})" for code, number in failures.most_common(2))
    return f"others: {len(outcomes.answers):,} requests, {failures.total()} not {OK}{more}"


async def _after_a_request(server: Server, number: int) -> None:
    await _send(server.rest, _request(number))


async def _amid_a_request(server: Server, number: int) -> None:
    request = _request(number)
    await _send(server.rest, request[: -(number % 40 + 1)])


def _request(number: int) -> bytes:
    body = json.dumps({"instances": [float(number)]}).encode()
    head = f"POST /v1/models/{MODEL}:predict HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _send(address: str, data: bytes) -> None:
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    await asyncio.sleep(0.01)
    writer.transport.abort()


async def _after_a_call(server: Server, number: int) -> None:
    await _call(server, number, whole=True)


async def _amid_a_call(server: Server, number: int) -> None:
    await _call(server, number, whole=False)


async def _call(server: Server, number: int, *, whole: bool) -> None:
    async with connected(int(server.grpc.rpartition(":")[2])) as leaving:
        stream = leaving.start(grpc_headers(_INFER))
        data = message(infer_request(number).SerializeToString())
        await leaving.send(stream, data if whole else data[: len(data) // 2], end=whole)
        await asyncio.sleep(0.01)
