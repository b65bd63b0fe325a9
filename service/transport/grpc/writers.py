"""How answers are sent: with HTTP trailers, or as gRPC-Web has it, which browsers can read."""

import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from service.core.offload import offloaded
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.transport.grpc.framing import ACCEPTED_ENCODINGS, Receive, framed, framed_trailers

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]

_JOINED_BYTES = 64 * 1024
"""Answers that are ready together travel together, up to this size."""
_PADDED = re.compile(rb"[^=]+=*|=+")
"""Base64 up to its padding."""
_START: MutableMapping[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc"), (b"grpc-accept-encoding", ACCEPTED_ENCODINGS)],
    "trailers": True,
}


class Writer(Protocol):
    """Sends the answers of one call."""

    async def only(self, message: bytes, trailers: Pairs) -> None:
        """Sends the only answer, and how the call ended.

        Raises:
            OSError: When the client went away.
        """

    async def write(self, messages: list[bytes]) -> None:
        """Sends answers.

        Raises:
            GatewayError: CANCELLED when the client went away.
        """

    async def end(self, trailers: Pairs) -> None:
        """Sends how the call ended.

        Raises:
            OSError: When the client went away.
        """


class NativeWriter:
    """Sends answers over HTTP/2, and how the call ended as trailers.

    Args:
        send: Takes the events of the response.
        encoding: How messages are compressed; empty for not at all.
    """

    def __init__(self, send: Send, encoding: str) -> None:
        self._send = send
        self._encoding = encoding
        self._started = False

    async def only(self, message: bytes, trailers: Pairs) -> None:
        """Sends the only answer, and how the call ended."""
        body = await self._framed(message) if self._encoding else framed(message)
        await self._start()
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        await self._send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})

    async def write(self, messages: list[bytes]) -> None:
        """Sends answers."""
        encoding = self._encoding
        frames = [await self._framed(message) if encoding else framed(message) for message in messages]
        with gone_is_cancelled():
            if not self._started:
                await self._start()
            for body in joined(frames):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, trailers: Pairs) -> None:
        """Sends how the call ended: in the headers, where nothing was sent before."""
        if not self._started:
            headers = [*_START["headers"], *trailers]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        await self._send({"type": "http.response.trailers", "headers": trailers, "more_trailers": False})

    async def _start(self) -> None:
        self._started = True
        start = {**_START}  # whoever passes it on may add to it
        if self._encoding:
            start["headers"] = [*start["headers"], (b"grpc-encoding", self._encoding.encode())]
        await self._send(start)

    async def _framed(self, message: bytes) -> bytes:
        """Compresses a message, where nobody has to wait for it."""
        return await offloaded(len(message), partial(framed, message, self._encoding))


class WebWriter:
    """Sends answers as gRPC-Web has them: how the call ended is the last part of the body.

    Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md

    Args:
        send: Takes the events of the response.
        content_type: The request's, and so the response's.
        is_text: Whether the body is base64.
    """

    def __init__(self, send: Send, content_type: bytes, *, is_text: bool) -> None:
        self._send = send
        self._content_type = content_type
        self._encode: Callable[[bytes], bytes] = b64encode if is_text else bytes
        self._started = False

    async def only(self, message: bytes, trailers: Pairs) -> None:
        """Sends the only answer, and how the call ended."""
        await self._start()
        await self._body(framed(message) + framed_trailers(trailers), more=False)

    async def write(self, messages: list[bytes]) -> None:
        """Sends answers."""
        with gone_is_cancelled():
            if not self._started:
                await self._start()
            for body in joined([framed(message) for message in messages]):
                await self._body(body, more=True)

    async def end(self, trailers: Pairs) -> None:
        """Sends how the call ended."""
        if not self._started:
            await self._start()
        await self._body(framed_trailers(trailers), more=False)

    async def _start(self) -> None:
        self._started = True
        headers = [(b"content-type", self._content_type)]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": self._encode(data), "more_body": more})


@contextmanager
def gone_is_cancelled() -> Iterator[None]:
    """Makes what `send` raises when the client went away an error that is none of the server's.

    Raises:
        GatewayError: CANCELLED.
    """
    try:
        yield
    except OSError:
        raise GatewayError(ErrorKind.CANCELLED, "the client went away") from None


def joined(frames: list[bytes]) -> list[bytes]:
    """Returns the frames, small ones put together."""
    if len(frames) == 1 or sum(map(len, frames)) > _JOINED_BYTES:
        return frames
    return [b"".join(frames)]


def from_base64(receive: Receive) -> Receive:
    """Returns what gives the same events with bodies that are no base64 any more.

    The text may be several, each with padding of its own, and cut anywhere.
    """
    rest = b""

    async def receive_decoded() -> MutableMapping[str, Any]:
        nonlocal rest
        event = await receive()
        if event["type"] != "http.request":
            return event
        text = rest + event.get("body", b"")
        whole = len(text) if not event.get("more_body", False) else len(text) // 4 * 4
        rest = text[whole:]
        return {**event, "body": _decoded(text[:whole])}

    return receive_decoded


def _decoded(text: bytes) -> bytes:
    try:
        data = b"".join([a2b_base64(part, strict_mode=True) for part in _PADDED.findall(text)])
    except ValueError:
        raise _no_base64(text) from None
    if len(data) != len(text) * 3 // 4 - text.count(b"="):  # too much padding is overlooked
        raise _no_base64(text)
    return data


def _no_base64(text: bytes) -> GatewayError:
    violation = Violation("body", "base64, as the content type says", f"{len(text)} other bytes")
    return invalid_input(violation, kind=ErrorKind.MALFORMED)
