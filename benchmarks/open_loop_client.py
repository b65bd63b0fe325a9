"""A load generator that does not wait for answers: requests leave at times that were fixed before.

A closed loop asks less of a server that is slow, and so hides the wait of those who would have come meanwhile
(coordinated omission). Here each latency counts from the time at which the request should have left, whatever kept it.
A process of its own; prints one JSON object.
"""

import argparse
import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import grpc
import httptools
import numpy as np
import uvloop
from grpc import aio

_CHANNELS = 8
_DRAIN_SECONDS = 15.0
_LEAD = 0.2
Send = Callable[[], Awaitable[int]]
"""Sends one request and returns the size of its answer; raises when it was refused."""


class _HttpConnection(asyncio.Protocol):
    """One HTTP/1.1 connection with one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> "asyncio.Future[int]":
        self._parser = httptools.HttpResponseParser(self)
        self._size = 0
        self._answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_answer") and not self._answer.done():
            self._answer.set_exception(ConnectionError("the connection was closed"))

    def on_body(self, body: bytes) -> None:
        self._size += len(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 200:
            self._answer.set_result(self._size)
        else:
            self._answer.set_exception(ConnectionError(f"status {status}"))


def _http(address: str, path: str, body: bytes) -> Send:
    host, _, port = address.rpartition(":")
    head = f"POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    request = head.encode() + b"\r\n\r\n" + body
    idle: list[_HttpConnection] = []

    async def send() -> int:
        loop = asyncio.get_running_loop()
        connection = idle.pop() if idle else (await loop.create_connection(_HttpConnection, host, int(port)))[1]
        size = await connection.ask(request)
        idle.append(connection)
        return size

    return send


def _grpc(address: str, path: str, message: bytes) -> Send:
    options = [("grpc.use_local_subchannel_pool", 1)]
    calls: list[aio.UnaryUnaryMultiCallable[bytes, bytes]] = [
        aio.insecure_channel(address, options).unary_unary(path) for _ in range(_CHANNELS)
    ]
    turn = 0

    async def send() -> int:
        nonlocal turn
        turn = (turn + 1) % _CHANNELS
        answer = await calls[turn](message, timeout=_DRAIN_SECONDS)
        return len(answer)

    return send


async def _run(send: Send, rate: float, seconds: float) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    sizes = {await send() for _ in range(2 * _CHANNELS)}
    chance = random.Random(0)  # noqa: S311
    offsets, at = [], 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        offsets.append(at)
    latencies: list[float] = []
    late: list[float] = []
    failures: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        late.append(time.perf_counter() - due)
        try:
            sizes.add(await send())
        except (ConnectionError, OSError, grpc.RpcError, httptools.HttpParserError) as error:
            failures.append(repr(error)[:200])
        else:
            latencies.append(time.perf_counter() - due)

    def begin(due: float) -> None:
        task = loop.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def pace() -> None:
        # A thread of its own: timers of the event loop are good to a millisecond only.
        start = time.perf_counter() + _LEAD
        for offset in offsets:
            if (wait := start + offset - time.perf_counter()) > 0:
                time.sleep(wait)
            loop.call_soon_threadsafe(begin, start + offset)

    thread = threading.Thread(target=pace)
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    if tasks:
        await asyncio.wait(tasks, timeout=_DRAIN_SECONDS)
    unanswered = len(offsets) - len(latencies) - len(failures)
    p50, p99 = np.percentile(latencies, [50, 99]) if latencies else (float("nan"), float("nan"))
    return {
        "sent": len(offsets),
        "failed": len(failures) + unanswered,
        "reason": failures[0] if failures else "",
        "p50": float(p50) * 1000,
        "p99": float(p99) * 1000,
        "late_p50": float(np.percentile(late, 50)) * 1000,
        "smallest": min(sizes),
        "largest": max(sizes),
    }


def main() -> None:
    """Reads the flags, sends, and prints what it saw; times in milliseconds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("path")
    parser.add_argument("message", type=Path, help="file of the body; of gRPC, without its frame")
    parser.add_argument("--grpc", action="store_true")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    flags = parser.parse_args()
    sys.setswitchinterval(0.0005)  # the pacing thread wants its turn soon

    async def run() -> dict[str, object]:
        make = _grpc if flags.grpc else _http
        return await _run(make(flags.address, flags.path, flags.message.read_bytes()), flags.rate, flags.seconds)

    sys.stdout.write(json.dumps(uvloop.run(run())) + "\n")


if __name__ == "__main__":
    main()
