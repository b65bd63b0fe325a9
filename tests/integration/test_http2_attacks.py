"""HTTP/2 against what a server holds for its clients: work of calls that were reset, and calls that never end."""

import asyncio

import pytest

from tests import http2
from tests.clients import classify_request
from tests.conftest import Served, serving, until
from tests.http2 import SECONDS, SERVERS, connected, frame
from tests.http2_floods import CLASSIFY, FLOODS, GOOD, OPENING, Flood, call, heads, pour, resets_after_bodies

REQUEST = classify_request("shades", images=[{"pixels": [[0] * 4] * 4}])
OK, CANCELLED = 0, 1
MOST = 64
_CLIENTS = 20
RESETS = {"RST_STREAM": resets_after_bodies, **{kind: FLOODS[kind] for kind in FLOODS if "by the server" in kind}}
SLOW = {
    "no settings": (http2.PREFACE, b""),
    "no calls": (OPENING, frame(http2.PING, bytes(8))),
    "half a block of headers": (OPENING + call(1, heads(), flags=0), b""),
    "a block of headers byte by byte": (
        OPENING + call(1, heads(), flags=0),
        frame(http2.CONTINUATION, b"\0", stream=1),
    ),
    "no message": (OPENING + call(1, heads()), frame(http2.DATA, stream=1)),
    "a message byte by byte": (
        OPENING + call(1, heads()) + frame(http2.DATA, GOOD[:6], stream=1),
        frame(http2.DATA, b"x", stream=1),
    ),
    "a message that is announced": (
        OPENING + call(1, heads()) + frame(http2.DATA, b"\0\0\x0f\xff\xff", stream=1),
        frame(http2.DATA, bytes(9), stream=1),
    ),
}
"""Connections that never come to an end: how they begin, and what comes of them again and again."""


def at_rest(served: Served) -> bool:
    admission = served.runtime.admission
    return not any(admission.in_flight.values()) and admission.bytes_held() == 0


async def pour_some(served: Served, flood: Flood, count: int) -> None:
    """Sends the first pieces of a flood, as many as the server takes."""
    pieces = (piece for _, piece in zip(range(count), flood, strict=False))
    await pour(served.runtime.grpc_port, pieces)


@pytest.mark.parametrize("grpc_server", SERVERS)
@pytest.mark.parametrize("kind", RESETS)
async def test_calls_that_are_reset_hold_no_more_than_is_admitted(grpc_server: str, kind: str) -> None:
    async with serving(grpc_server=grpc_server, max_requests_in_flight=MOST) as served:
        served.backend.gate.clear()
        for _ in range(5):
            await pour_some(served, RESETS[kind](), 500)
            assert served.runtime.admission.in_flight["requests"] <= MOST
        # Each of the floods is gone by now, and with it whatever it had begun.
        await until(lambda: at_rest(served), seconds=SECONDS)
        served.backend.gate.set()
        async with connected(served.runtime.grpc_port) as other, asyncio.timeout(SECONDS):
            # grpcio refuses some at random, in its own words, while more wait than it holds.
            while (status := (await other.call(CLASSIFY, GOOD)).status) != OK:
                assert (grpc_server, status) == ("grpcio", CANCELLED)
        assert await served.metric("tensorgate_requests_total", code="internal") == 0


@pytest.mark.parametrize("grpc_server", SERVERS)
async def test_connections_that_never_come_to_an_end_keep_nothing_from_others(grpc_server: str) -> None:
    async with serving(grpc_server=grpc_server, default_timeout=1, max_requests_in_flight=4) as served:
        assert (await served.stub.Classify(REQUEST, timeout=SECONDS)).model == "shades"
        before = await served.metric("process_open_fds")

        async def never_end(first: bytes, again: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.runtime.grpc_port)
            closed = asyncio.create_task(reader.read())
            try:
                writer.write(first)
                while not closed.done():
                    writer.write(again)
                    await asyncio.wait({closed}, timeout=0.2)
            finally:
                closed.cancel()
                writer.transport.abort()
                await asyncio.gather(closed, return_exceptions=True)

        slow = [asyncio.create_task(never_end(*SLOW[kind])) for kind in SLOW for _ in range(_CLIENTS)]
        calls = _CLIENTS * sum("message" in kind for kind in SLOW)

        # Those that have begun a call are told that it is too late; they took nobody's place until then.
        while await served.metric("tensorgate_requests_total", code="timeout") < calls:
            assert (await served.stub.Classify(REQUEST, timeout=SECONDS)).model == "shades"
        await until(lambda: at_rest(served), seconds=SECONDS)
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        async with asyncio.timeout(SECONDS):
            while await served.metric("process_open_fds") > before:  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.05)
        assert (await served.stub.Classify(REQUEST, timeout=SECONDS)).model == "shades"
