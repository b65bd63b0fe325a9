"""Floods of frames that cost their sender little: others are served meanwhile, and memory stays bounded."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import hpack
import pytest

from tests import http2
from tests.clients import classify_request
from tests.http2 import SERVERS, connected, frame, message
from tests.processes import ServerProcess, server_process

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
GOOD = message(classify_request("shades", images=[{"pixels": [[0] * 4] * 4}]).SerializeToString())
OK, CANCELLED = 0, 1
STUCK_SECONDS = 3
"""A server that reads no further for so long has closed its ears to the flood."""
MOST_BYTES = 150 * 1024 * 1024
"""More than a server needs that has just served its first calls, and less than any of these floods would take up."""
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = bytes([0, 0, 0, 8])
OPENING = http2.PREFACE + frame(http2.SETTINGS)

Flood = Iterator[bytes]


def heads(*more: tuple[str, str]) -> bytes:
    """Returns a block of headers that begins a call; it leaves the table of headers alone."""
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", CLASSIFY), (":authority", "x")]
    pairs += [("content-type", "application/grpc"), ("te", "trailers"), *more]
    encoded: bytes = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*pair) for pair in pairs])
    return encoded


def call(stream: int, block: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(http2.HEADERS, block, flags=flags, stream=stream)


def repeated(one: bytes, count: int, first: bytes = b"") -> Flood:
    yield OPENING + first
    piece = one * 1000
    for _ in range(count // 1000):
        yield piece


def resets() -> Flood:
    yield OPENING
    block = heads()
    for stream in range(1, 40_000, 2):
        yield call(stream, block) + frame(http2.RST_STREAM, CANCEL, stream=stream)


def resets_after_bodies() -> Flood:
    yield OPENING
    block = heads()
    for stream in range(1, 10_000, 2):
        yield (
            call(stream, block)
            + frame(http2.DATA, GOOD, flags=END_STREAM, stream=stream)
            + frame(http2.RST_STREAM, CANCEL, stream=stream)
        )


def continuations(size: int, count: int) -> Flood:
    part = frame(http2.CONTINUATION, b"\0" * size, stream=1)
    return repeated(part, count, call(1, heads(), flags=0))


def expanding_headers() -> Flood:
    """One header of 4,000 bytes in the table, named again and again: 15,000 bytes say 60 MB, on each of many calls."""
    big = hpack.Encoder().encode([("x-big", "y" * 4000)])
    index = bytes([0x80 | 62])
    yield OPENING
    for stream in range(1, 200, 2):
        yield call(stream, heads() + big + index * 15_000, flags=END_HEADERS | END_STREAM)


def table_sizes() -> Flood:
    update = b"\x3f\xe1\x1f" + b"\x20"  # 4096, and none at all
    yield OPENING
    for stream in range(1, 2000, 2):
        yield call(stream, update * 4000 + heads())


def many_fields() -> Flood:
    block = heads(*((f"x-{number}", "y") for number in range(4000)))
    yield OPENING
    for stream in range(1, 200, 2):
        yield call(stream, block, flags=END_HEADERS | END_STREAM)


def half_calls() -> Flood:
    """Calls that never get a message, as many as go."""
    yield OPENING
    block = heads()
    for stream in range(1, 20_000, 2):
        yield call(stream, block)


def lying_settings() -> Flood:
    yield OPENING
    for first in range(0, 50_000, 100):
        said = (struct.pack(">HIHI", 4, number, 1, number) for number in range(first, first + 100))
        yield b"".join(frame(http2.SETTINGS, each) for each in said)


FLOODS: dict[str, Callable[[], Flood]] = {
    "PING": lambda: repeated(frame(http2.PING, bytes(8)), 300_000),
    "PING that answers nothing": lambda: repeated(frame(http2.PING, bytes(8), flags=ACK), 300_000),
    "SETTINGS": lambda: repeated(frame(http2.SETTINGS), 300_000),
    "SETTINGS that say something": lying_settings,
    "RST_STREAM": resets,
    "RST_STREAM after the whole request": resets_after_bodies,
    "CONTINUATION, empty": lambda: continuations(0, 300_000),
    "CONTINUATION, a byte each": lambda: continuations(1, 300_000),
    "CONTINUATION, full": lambda: continuations(16_000, 10_000),
    "PRIORITY": lambda: repeated(frame(http2.PRIORITY, bytes([0, 0, 0, 0, 1]), stream=3), 300_000),
    "WINDOW_UPDATE": lambda: repeated(frame(http2.WINDOW_UPDATE, bytes([0, 0, 0, 1])), 300_000),
    "DATA, empty": lambda: repeated(frame(http2.DATA, stream=1), 300_000, call(1, heads())),
    "frames that nobody knows": lambda: repeated(frame(0x77, bytes(8)), 300_000),
    "headers that expand": expanding_headers,
    "sizes of the table of headers": table_sizes,
    "many headers": many_fields,
    "calls without messages": half_calls,
    "the same stream again": lambda: repeated(call(1, heads()), 10_000),
    "frames that are too long": lambda: repeated((2**24 - 1).to_bytes(3, "big") + bytes(6) + bytes(1000), 100_000),
    "zeros": lambda: iter([bytes(10_000_000)]),
}


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


async def pour(port: int, flood: Flood) -> None:
    """Sends it all, until the server closes the connection or reads no further."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in flood:
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), STUCK_SECONDS)
    except (OSError, TimeoutError):
        pass
    finally:
        writer.transport.abort()


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
