"""The proxy: it hands on, cuts, slows and garbles, and is itself again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from reliability.proxy import Fault, Proxy, garbling
from tests.http2 import DATA, HEADERS, frame, message

SLOW = 0.3


@asynccontextmanager
async def echo() -> AsyncIterator[tuple[Proxy, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Runs a server that says what it hears, a proxy before it, and a connection through that."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while heard := await reader.read(1000):
            writer.write(heard)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    proxy = Proxy(server.sockets[0].getsockname()[1], slow_seconds=SLOW)
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield proxy, reader, writer
    finally:
        writer.close()
        await proxy.stop()
        server.close()


async def test_it_hands_on_and_is_slow_in_order() -> None:
    async with echo() as (proxy, reader, writer):
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.fault = Fault.SLOW
        began = time.monotonic()
        writer.write(b"two")
        await asyncio.sleep(SLOW / 3)
        proxy.fault = Fault.NONE
        writer.write(b"three")
        assert await reader.readexactly(8) == b"twothree"
        assert time.monotonic() - began >= SLOW


async def test_what_is_sent_while_it_is_cut_comes_later() -> None:
    async with echo() as (proxy, reader, writer):
        proxy.fault = Fault.CUT
        writer.write(b"one")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(3), 0.1)
        proxy.fault = Fault.NONE
        assert await reader.readexactly(3) == b"one"


async def test_noise_is_as_long_as_what_was_said() -> None:
    async with echo() as (proxy, reader, writer):
        proxy.fault = Fault.NOISE
        writer.write(bytes(64))
        assert await reader.readexactly(64) != bytes(64)


async def test_it_breaks_connections_and_comes_back_on_its_port() -> None:
    async with echo() as (proxy, reader, _):
        port = proxy.port
        await proxy.stop()
        with pytest.raises(ConnectionError):  # noqa: PT012  # either way of ending is one
            if await reader.read() == b"":
                raise ConnectionError
        await proxy.start()
        assert proxy.port == port
        _, again = await asyncio.open_connection("127.0.0.1", port)
        again.close()


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_nonsense_leaves_frames_and_prefixes_as_they_are(size: int) -> None:
    said = (
        frame(HEADERS, b"head", stream=1)
        + frame(DATA, message(b"answer"), stream=1)
        + frame(HEADERS, b"tail", stream=1)
    )
    garbled = garbling()
    made = b"".join(garbled(said[place : place + size]) for place in range(0, len(said), size))
    assert made == said.replace(b"answer", b"\xff" * 6)
