"""A TCP proxy before a replica: a network, and a replica behind it, that do as they are told."""

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

_CHUNK = 65_536
_HEAD, _PREFIX, _DATA = 9, 5, 0
"""Bytes of an HTTP/2 frame's head and of a gRPC message's prefix; and the type of the frames with messages."""


class Fault(Enum):
    """What is wrong with it."""

    NONE = "nothing"
    CUT = "cut off the network"
    SLOW = "slowed to 2 s"
    NOISE = "answering with random bytes"
    NONSENSE = "answering with messages that are none"


class Proxy:
    """Hands bytes on between its port and another one.

    Args:
        port: Where the replica listens.
        slow_seconds: By how much answers come later while it is slow.
        tls: Speaks TLS with whoever connects; the replica behind does not.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, port: int, *, slow_seconds: float = 2.0, tls: ssl.SSLContext | None = None) -> None:
        self.port = 0
        self._behind = port
        self._slow_seconds = slow_seconds
        self._tls = tls
        self._fault = Fault.NONE
        self._passing = asyncio.Event()
        self._passing.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def connected(self) -> bool:
        """Whether anyone is connected, with the handshake done."""
        return bool(self._connections)

    @property
    def fault(self) -> Fault:
        """What is wrong with it."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        # As in a network that is cut, bytes wait meanwhile, and come later.
        self._passing.clear() if fault is Fault.CUT else self._passing.set()

    async def start(self) -> None:
        """Listens, on the port that it had before if it had one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Goes away, with all its connections."""
        if self._server is not None:
            self._server.close()
        self.drop()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def renew(self, tls: ssl.SSLContext) -> None:
        """Goes away and comes back on its port, with another certificate."""
        await self.stop()
        self._tls = tls
        await self.start()

    def drop(self) -> None:
        """Breaks all connections."""
        for connection in self._connections:
            connection.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            await self._passing.wait()
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
            writers.append(behind_writer)
            ways = [self._pass_on(reader, behind_writer), self._answer(behind_reader, writer)]
            tasks = [asyncio.create_task(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # the replica does not listen: whoever connected sees a connection that ends at once
        finally:
            for each in writers:
                each.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await self._passing.wait()
                writer.write(chunk)
                await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hands on what the replica says, which takes its time while it is slow; the order stays."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        garbled = garbling()

        async def read() -> None:
            while chunk := await reader.read(_CHUNK):
                delay = self._slow_seconds if self.fault is Fault.SLOW else 0.0
                # Frames are followed from the first byte on, or their beginnings would not be found later.
                nonsense = garbled(chunk)
                if self.fault is Fault.NOISE:
                    chunk = os.urandom(len(chunk))
                elif self.fault is Fault.NONSENSE:
                    chunk = nonsense
                waiting.put_nowait((time.monotonic() + delay, chunk))
            waiting.put_nowait((0.0, b""))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, chunk = await waiting.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._passing.wait()
                if not chunk:
                    return
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def garbling() -> Callable[[bytes], bytes]:
    """Returns what makes nonsense of the messages in one direction of an HTTP/2 connection, chunk by chunk.

    Frames and the prefixes of gRPC's messages stay as they are, so that the client takes all of it; a message is
    expected to begin with its frame, as those of servers do that answer with small ones.
    """
    head = bytearray()
    left, at, kind = 0, 0, 0

    def garble(chunk: bytes) -> bytes:
        nonlocal left, at, kind
        made = bytearray(chunk)
        place = 0
        while place < len(made):
            if left == 0:
                taken = min(_HEAD - len(head), len(made) - place)
                head.extend(made[place : place + taken])
                place += taken
                if len(head) == _HEAD:
                    left, at, kind = int.from_bytes(head[:3], "big"), 0, head[3]
                    head.clear()
                continue
            size = min(left, len(made) - place)
            if kind == _DATA:
                begin = place + max(0, _PREFIX - at)
                end = place + size
                made[begin:end] = b"\xff" * max(0, end - begin)
            place, left, at = place + size, left - size, at + size
        return bytes(made)

    return garble
