"""Floods of frames that cost their sender little, as attackers of HTTP/2 servers send them."""

import asyncio
import struct
from collections.abc import Callable, Iterator

import hpack

from tests import http2
from tests.clients import classify_request
from tests.http2 import frame, message

CLASSIFY = "/tensorgate.v1.TensorgateService/Classify"
GOOD = message(classify_request("shades", images=[{"pixels": [[0] * 4] * 4}]).SerializeToString())
STUCK_SECONDS = 3
"""A server that reads no further for so long has closed its ears to the flood."""
END_STREAM, END_HEADERS, PADDED, ACK = 1, 4, 8, 1
CANCEL = bytes([0, 0, 0, 8])
OPENING = http2.PREFACE + frame(http2.SETTINGS)

Flood = Iterator[bytes]


def heads(*more: tuple[str, str]) -> bytes:
    """Returns a block of headers that begins a call; it leaves the table of headers alone."""
    pairs = [(":method", "POST"), (":scheme", "http"), (":path", CLASSIFY), (":authority", "localhost")]
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


def resets_by_the_server(*provocation: bytes) -> Flood:
    """Whole requests, each followed by what makes the server reset it: its work goes on, and its place seems free.

    CVE-2025-8671, "MadeYouReset".
    """
    yield OPENING
    block = heads()
    for stream in range(1, 10_000, 2):
        request = call(stream, block) + frame(http2.DATA, GOOD, flags=END_STREAM, stream=stream)
        yield request + b"".join(part[:5] + stream.to_bytes(4, "big") + part[9:] for part in provocation)


def nameless_headers() -> Flood:
    """Headers whose names and values are empty: a list of them is no bytes long, and is kept all the same."""
    block = heads() + b"\x00\x00\x00" * 5000
    yield OPENING
    for stream in range(1, 400, 2):
        yield call(stream, block)


def padding() -> Flood:
    """A byte of a message in each frame, and 255 of padding."""
    yield OPENING + call(1, heads())
    piece = frame(http2.DATA, b"\xff" + b"\0" + bytes(255), flags=PADDED, stream=1) * 100
    for _ in range(500):
        yield piece


def half_blocks() -> Flood:
    """Blocks of headers that do not end, one after the other, where none may begin before the last one's end."""
    yield OPENING
    for stream in range(1, 2000, 2):
        yield call(stream, heads(), flags=0)


def windows() -> Flood:
    """Changes of the window that all streams begin with, while many are open: each has a server go through them all."""
    yield OPENING
    block = heads()
    yield b"".join(call(stream, block) for stream in range(1, 1000, 2))
    for size in range(1000, 6000):
        yield frame(http2.SETTINGS, struct.pack(">HI", 4, size))


def promises() -> Flood:
    return repeated(frame(http2.PUSH_PROMISE, bytes([0, 0, 0, 2]) + heads(), flags=END_HEADERS, stream=1), 10_000)


def farewells() -> Flood:
    return repeated(frame(http2.GOAWAY, bytes(8)), 100_000)


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
    "resets by the server: no window": lambda: resets_by_the_server(frame(http2.WINDOW_UPDATE, bytes(4))),
    "resets by the server: too much window": lambda: resets_by_the_server(
        frame(http2.WINDOW_UPDATE, b"\x7f\xff\xff\xff"), frame(http2.WINDOW_UPDATE, b"\x7f\xff\xff\xff")
    ),
    "resets by the server: more after the end": lambda: resets_by_the_server(frame(http2.DATA, b"x")),
    "resets by the server: half a priority": lambda: resets_by_the_server(frame(http2.PRIORITY, bytes(3))),
    "headers without names": nameless_headers,
    "padding": padding,
    "half blocks of headers": half_blocks,
    "SETTINGS that move all windows": windows,
    "PUSH_PROMISE": promises,
    "GOAWAY": farewells,
    "zeros": lambda: iter([bytes(10_000_000)]),
}


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
