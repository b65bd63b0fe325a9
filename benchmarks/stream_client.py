"""A load generator for gRPC streams, which h2load cannot drive; and for unary calls, to be compared with them.

Each stream has a fixed number of messages under way: one more is written whenever an answer has come. A process of
its own; prints one JSON object.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path

import grpc
import numpy as np
import uvloop
from grpc import aio

_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


class _Seen:
    """The answers so far."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.sizes: set[int] = set()
        self.tags: set[int] = set()

    def add(self, sent: float, answer: bytes) -> None:
        self.latencies.append(time.perf_counter() - sent)
        self.sizes.add(len(answer))
        self.tags.add(answer[0])


async def _stream(address: str, path: str, message: bytes, window: int, until: float, seen: _Seen) -> None:
    async with aio.insecure_channel(address, _OPTIONS) as channel:
        method: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
        call = method()
        room = asyncio.Semaphore(window)
        sent: deque[float] = deque()

        async def write() -> None:
            while time.perf_counter() < until:
                await room.acquire()
                sent.append(time.perf_counter())
                await call.write(message)
            await call.done_writing()

        writing = asyncio.create_task(write())
        while isinstance(answer := await call.read(), bytes):  # else it is aio.EOF
            seen.add(sent.popleft(), answer)
            room.release()
        await writing
        if (code := await call.code()) is not grpc.StatusCode.OK:
            raise aio.AioRpcError(code, aio.Metadata(), aio.Metadata(), await call.details())


async def _calls(address: str, path: str, message: bytes, window: int, until: float, seen: _Seen) -> None:
    async with aio.insecure_channel(address, _OPTIONS) as channel:
        call: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)

        async def ask() -> None:
            while time.perf_counter() < until:
                sent = time.perf_counter()
                seen.add(sent, await call(message))

        await asyncio.gather(*(ask() for _ in range(window)))


async def _run(flags: argparse.Namespace) -> dict[str, object]:
    message = flags.message.read_bytes()
    drive = _calls if flags.unary else _stream
    seen = _Seen()
    start = time.perf_counter()
    until = start + flags.seconds
    drives = [drive(flags.address, flags.path, message, flags.window, until, seen) for _ in range(flags.connections)]
    try:
        await asyncio.gather(*drives)
    except grpc.RpcError as error:
        return {"error": f"{error.code().name}: {error.details()}"[:200]}
    seconds = time.perf_counter() - start
    p50, p99 = np.percentile(seen.latencies, [50, 99]) * 1000
    return {
        "messages": len(seen.latencies),
        "rate": len(seen.latencies) / seconds,
        "p50": float(p50),
        "p99": float(p99),
        "smallest": min(seen.sizes),
        "largest": max(seen.sizes),
        "tags": sorted(seen.tags),
        "error": "",
    }


def main() -> None:
    """Reads the flags, sends, and prints what it saw; latencies in milliseconds, for each message."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("path")
    parser.add_argument("message", type=Path, help="file of a message, without its frame")
    parser.add_argument("--unary", action="store_true")
    parser.add_argument("--connections", type=int, required=True, help="with a stream each")
    parser.add_argument("--window", type=int, required=True, help="messages under way on each")
    parser.add_argument("--seconds", type=float, required=True)
    sys.stdout.write(json.dumps(uvloop.run(_run(parser.parse_args()))) + "\n")


if __name__ == "__main__":
    main()
