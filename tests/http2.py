"""A client of HTTP/2 that does as it is told: whole calls, halves of them, and frames that no library would send."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

SERVERS = ("h2corn", "grpcio")
SECONDS = 30
"""For whatever is waited for: how fast the machine is, is no matter of tests."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

Pairs = Iterable[tuple[bytes, bytes]]


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Returns one frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def message(data: bytes, *, flag: int = 0, size: int | None = None) -> bytes:
    """Returns a message of gRPC with its prefix, which may lie."""
    return struct.pack(">BI", flag, len(data) if size is None else size) + data


def grpc_headers(path: str, **more: str) -> list[tuple[bytes, bytes]]:
    """Returns the headers of a call; those of ``more`` come after them, and may take their place.

    Underscores of their names stand for hyphens.
    """
    headers = {"content-type": "application/grpc", "te": "trailers"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    pseudo = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost"}
    return [(name.encode(), value.encode("latin-1")) for name, value in (pseudo | headers).items()]


@dataclass
class Answer:
    """What has come of one stream.

    Attributes:
        reset: The code that it was reset with, if it was.
    """

    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int | None:
        """What ``grpc-status`` says, in the trailers or the headers."""
        value = (self.headers | self.trailers).get(b"grpc-status")
        return None if value is None else int(value)

    @property
    def text(self) -> bytes:
        """What ``grpc-message`` says, as it came."""
        return (self.headers | self.trailers).get(b"grpc-message", b"")


class Http2:
    """One connection.

    Attributes:
        reads: Whether what comes is read off the socket, while it is set.
        credits: Whether the server is given back the window of what was read.
        answers: What has come, by stream.
        gone: The code of the server's GOAWAY, if one came.
        closed: Whether the server has closed the connection.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **settings: int) -> None:
        self._reader, self._writer = reader, writer
        config = h2.config.H2Configuration(
            header_encoding=None, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        given = {getattr(h2.settings.SettingCodes, name): value for name, value in settings.items()}
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values=given)
        self.h2.initiate_connection()
        self.reads = asyncio.Event()
        self.reads.set()
        self.credits = True
        self.answers: dict[int, Answer] = {}
        self.pongs = 0
        self.gone: int | None = None
        self.closed = False
        self._changed = asyncio.Event()
        self.flush()

    def flush(self) -> None:
        """Sends what the state machine has to say."""
        self._writer.write(self.h2.data_to_send())

    def write(self, data: bytes) -> None:
        """Sends bytes past the state machine."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Waits until the server takes more."""
        await asyncio.wait_for(self._writer.drain(), SECONDS)

    def start(self, headers: Pairs, *, end: bool = False) -> int:
        """Begins a stream; returns its number."""
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = Answer()
        self.h2.send_headers(stream, list(headers), end_stream=end)
        self.flush()
        return stream

    async def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends part of a body, as the server has room for it, unless the server has reset the stream."""
        view, answer = memoryview(data), self.answers[stream]
        while view:
            await self.until(lambda: answer.reset is not None or self.h2.local_flow_control_window(stream) > 0)
            if answer.reset is not None:
                return
            size = min(len(view), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            last = end and size == len(view)
            self.h2.send_data(stream, bytes(view[:size]), end_stream=last)
            view = view[size:]
            self.flush()
            await self.drain()
        if end and not data:
            self.h2.end_stream(stream)
            self.flush()

    async def call(self, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Makes a call with that body, and returns its answer."""
        stream = self.start(grpc_headers(path, **headers))
        await self.send(stream, body, end=True)
        return await self.answer(stream)

    def reset(self, stream: int, code: int = 8) -> None:
        """Resets a stream, even one that has ended; by default it is cancelled."""
        self.write(frame(RST_STREAM, code.to_bytes(4, "big"), stream=stream))

    async def answer(self, stream: int) -> Answer:
        """Waits until the stream is over."""
        answer = self.answers[stream]
        await self.until(lambda: answer.ended or answer.reset is not None)
        return answer

    async def until(self, condition: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Waits for something that comes from the server.

        Raises:
            TimeoutError: When it does not come.
            ConnectionError: When the connection was closed first.
        """
        async with asyncio.timeout(seconds):
            while not condition():
                if self.closed:
                    raise ConnectionError(f"the server has closed the connection (GOAWAY: {self.gone})")
                self._changed.clear()
                await self._changed.wait()

    async def close_of_server(self) -> None:
        """Waits until the server has closed the connection."""
        with suppress(ConnectionError):
            await self.until(lambda: self.closed)

    async def pump(self) -> None:
        """Takes in what comes, a frame at a time."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while one := await self._read():
                if one[3] == GOAWAY:  # after which the state machine would take no more, and a server may have more
                    self.gone = int.from_bytes(one[13:17], "big")
                    self._changed.set()
                    continue
                try:
                    events = self.h2.receive_data(one)
                except h2.exceptions.ProtocolError:  # what was written past the state machine was news to it
                    break
                for event in events:
                    self._take(event)
                self.flush()
                self._changed.set()
        self.closed = True
        self._changed.set()

    async def _read(self) -> bytes:
        await self.reads.wait()
        head = await self._reader.readexactly(9)
        return head + await self._reader.readexactly(int.from_bytes(head[:3], "big"))

    def _take(self, event: Any) -> None:
        if isinstance(event, h2.events.PingAckReceived):
            self.pongs += 1
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            if self.credits and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)


@asynccontextmanager
async def connected(port: int, **settings: int) -> AsyncIterator[Http2]:
    """Connects to a port of this machine; the settings are the client's, by their names in HTTP/2."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Http2(reader, writer, **settings)
    pumping = asyncio.create_task(client.pump())
    try:
        yield client
    finally:
        pumping.cancel()
        writer.transport.abort()
        await asyncio.gather(pumping, return_exceptions=True)
