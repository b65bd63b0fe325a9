"""HTTP/1.1 against its readers: requests that hide another one, and requests that never end; on both ports."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from service.transport.rest import http_protocol
from tests.clients import classify_request
from tests.conftest import Served, serving, until
from tests.http1_attacks import LAST, READ, REFUSED, SLOW, SMUGGLED
from tests.http2 import SECONDS

PORTS = ("rest", "grpc")
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
REQUEST = classify_request("shades", **BLACK)
CLASSIFY = "/api/v1/models/shades/classify"
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])")
_COUNTED = "tensorgate_requests_total"
_GIVEN_UP = ("timeout", "cancelled", "malformed")
_CLIENTS = 30


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Served]:
    async with serving(grpc_server="h2corn") as served:  # grpcio speaks no HTTP/1.1
        yield served


async def statuses(served: Served, port: str, data: bytes) -> tuple[int, ...]:
    """Sends it, and returns the statuses of all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", getattr(served.runtime, f"{port}_port"))
    try:
        writer.write(data)
        said = b""
        async with asyncio.timeout(SECONDS):
            while part := await reader.read(65536):
                said += part
    except ConnectionError:  # closed with something left that nobody read
        pass
    finally:
        writer.transport.abort()
    return tuple(int(status) for status in _STATUS.findall(said))


async def smuggled(served: Served) -> float:
    """Returns how many requests have been answered that only the body of another one can have had."""
    path = SMUGGLED.replace("smuggled", "{model}")
    return await served.metric("tensorgate_requests_total", method=f"GET {path}")


@pytest.mark.over_rest
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("kind", REFUSED)
async def test_what_may_be_read_in_two_ways_is_not_read(server: Served, port: str, kind: str) -> None:
    before = await smuggled(server)
    answered = await statuses(server, port, REFUSED[kind] + LAST)
    assert answered in {(400,), (501,), ()}
    assert await smuggled(server) == before


@pytest.mark.over_rest
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("kind", READ)
async def test_what_may_be_read_is_read_in_one_way(server: Served, port: str, kind: str) -> None:
    attack, expected = READ[kind]
    before = await smuggled(server)
    answered = await statuses(server, port, attack + LAST)
    closed = "HTTP/1.0" in kind
    assert answered in {(*expected, *(() if closed else (200,))), (400,), (501,), ()}
    assert await smuggled(server) == before + answered.count(404)


@pytest.mark.over_rest
@pytest.mark.parametrize("port", PORTS)
async def test_clients_that_never_end_keep_nothing_and_nobody(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 1.0)
    async with serving(grpc_server="h2corn", default_timeout=1, max_requests_in_flight=4) as served:
        ended = [0]

        async def never_end(first: bytes, again: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", getattr(served.runtime, f"{port}_port"))
            closed = asyncio.create_task(reader.read())
            try:
                writer.write(first)
                while not closed.done():
                    writer.write(again)
                    await asyncio.wait({closed}, timeout=0.2)
                    ended[0] += bool(closed.done())
            finally:
                closed.cancel()
                writer.transport.abort()
                await asyncio.gather(closed, return_exceptions=True)

        slow = [asyncio.create_task(never_end(*SLOW[kind])) for kind in SLOW for _ in range(_CLIENTS)]
        bodies = _CLIENTS * sum(kind not in {"nothing", "half a line", "headers"} for kind in SLOW)
        # However many they are, they have no place among the requests in flight, as their bodies are not there yet.
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.runtime.grpc_port}", timeout=SECONDS) as other:
            while await _given_up(other) < bodies:
                response = await other.post(CLASSIFY, json=BLACK, headers={"x-request-timeout": "30"})
                assert response.status_code == 200
        assert not any(served.runtime.admission.in_flight.values())
        await until(lambda: served.runtime.admission.bytes_held() == 0)
        if port == "rest":  # which ends all of them; the other port goes on reading what it has answered
            await until(lambda: ended[0] == len(slow), seconds=SECONDS)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert (await served.stub.Classify(REQUEST)).model == "shades"


async def _given_up(client: httpx.AsyncClient) -> float:
    """Returns how many requests have been given up, as too late or as none."""
    lines = [line for line in (await client.get("/metrics")).text.splitlines() if line.startswith(_COUNTED)]
    return sum(float(line.rpartition(" ")[2]) for line in lines if any(f'code="{code}"' in line for code in _GIVEN_UP))
