"""A client of HTTP/1.1 that sends whatever it is told, and reads what comes back as the standard says."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from fuzz.requests import Request

_LONGEST_HEAD = 256 * 1024


@dataclass(slots=True)
class Answer:
    """An answer; a connection that is closed before there was one has the status 0."""

    status: int = 0
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Http1:
    """A connection, made anew when the server has closed it.

    Args:
        port: Of this machine.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: Request) -> Answer:
        """Returns the answer to a request; asks once more where the connection was closed meanwhile, as it was idle."""
        is_new = self._writer is None
        try:
            answer = await self._asked(request)
        except (OSError, asyncio.IncompleteReadError):
            answer = Answer()
        if answer.status == 0:
            self.close()
            return answer if is_new else await self.ask(request)
        if answer.headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return answer

    def close(self) -> None:
        """Closes the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _asked(self, request: Request) -> Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_HEAD)
        self._writer.write(written(request))
        while True:
            answer = await read(self._reader, without_body=request.verb == "HEAD")
            if not 100 <= answer.status < 200:
                return answer


def written(request: Request) -> bytes:
    """Returns the bytes of a request; what it says of its length is right."""
    lines = [b"%b %b HTTP/1.1" % (request.verb.encode(), request.path.encode("utf-8", "surrogateescape"))]
    if not request.header(b"host"):
        lines.append(b"host: localhost")
    lines += [name + b": " + value for name, value in request.headers]
    lines.append(b"content-length: %d" % len(request.body))
    return b"\r\n".join((*lines, b"", request.body))


async def read(reader: asyncio.StreamReader, *, without_body: bool = False) -> Answer:
    """Reads one answer.

    Raises:
        IncompleteReadError: When the connection is closed before its end.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    answer = Answer(int(first.split(b" ", 2)[1]), headers)
    if without_body or answer.status in {204, 304} or answer.status < 200:
        return answer
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        answer.body = await _chunks(reader)
    elif b"content-length" in headers:
        answer.body = await reader.readexactly(int(headers[b"content-length"]))
    else:
        answer.body = await reader.read()
    return answer


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    while (await reader.readline()).strip():  # trailers
        pass
    return b"".join(parts)
