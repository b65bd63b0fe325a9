"""gRPC's framing: length-prefixed messages in the events of a request's body, and their compression.

Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import gzip
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from service.codecs.content_encoding import decompressed
from service.core.admission import HeldBytes
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

ACCEPTED_ENCODINGS = b"identity,deflate,gzip"

_PREFIX = struct.Struct(">BI")
_PREFIX_SIZE = _PREFIX.size
_COMPRESSED = 1
_TRAILERS = 0x80
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": lambda data: gzip.compress(data, 1), "deflate": zlib.compress}

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class MessageReader:
    """The messages of a call, as they come.

    Args:
        receive: Gives the next event of the request's body.
        encoding: How compressed messages are compressed: the value of ``grpc-encoding``.
        limit: How long a message may be, in bytes (``max_request_bytes``).
    """

    __slots__ = ("_buffer", "_encoding", "_is_over", "_limit", "_receive")

    def __init__(self, receive: Receive, *, encoding: str, limit: int) -> None:
        self._receive = receive
        self._encoding = encoding
        self._limit = limit
        self._buffer = bytearray()
        self._is_over = False

    async def only(self, held: HeldBytes) -> bytes:
        """Returns the only message.

        Raises:
            GatewayError: MALFORMED when there is none, more than one, or half a one; TOO_LARGE; CANCELLED when the
                client went away.
        """
        body = await self._event()
        if len(body) >= _PREFIX_SIZE and body[0] == 0 and len(body) - _PREFIX_SIZE == int.from_bytes(body[1:5]):
            # As most do, it came whole, and not compressed.
            check_message_size(len(body) - _PREFIX_SIZE, self._limit)
            held.take(len(body) - _PREFIX_SIZE)
            message: bytes | None = body[_PREFIX_SIZE:]
        else:
            held.take(len(body))
            self._buffer += body
            message = await self.next(held)
        if message is None:
            raise not_one("none")
        if not self._is_over or self._buffer:
            await self._expect_end()
        return message

    async def all(self, held: HeldBytes) -> AsyncIterator[bytes]:
        """Yields the messages.

        Raises:
            GatewayError: As `only`.
        """
        while (message := await self.next(held)) is not None:
            yield message

    async def next(self, held: HeldBytes) -> bytes | None:
        """Returns the next message; ``None`` after the last.

        Its bytes count as they come: what is only announced is not held, and takes nothing from others.

        Raises:
            GatewayError: As `only`.
        """
        if not await self._fill(_PREFIX_SIZE, held):
            return None
        flag, size = _PREFIX.unpack_from(self._buffer)
        check_message_size(size, self._limit)
        if flag > _COMPRESSED:
            raise _malformed("a message whose first byte is 0 or 1", str(flag))
        end = _PREFIX_SIZE + size
        await self._fill(end, held)
        with memoryview(self._buffer) as view:
            message = bytes(view[_PREFIX_SIZE:end])
        del self._buffer[:end]
        held.give_back(_PREFIX_SIZE)
        if flag == _COMPRESSED:
            message = await self._decompressed(message, held)
        return message

    async def _fill(self, size: int, held: HeldBytes) -> bool:
        """Reads until so many bytes are there; returns whether any came before the end of the body."""
        buffer = self._buffer
        while len(buffer) < size:
            if self._is_over:
                if buffer:
                    raise _malformed(f"{size} bytes", f"{len(buffer)}, and then the end of the body")
                return False
            body = await self._event()
            held.take(len(body))
            buffer += body
        return True

    async def _event(self) -> bytes:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise GatewayError(ErrorKind.CANCELLED, "the client went away")
        self._is_over = not event.get("more_body", False)
        body: bytes = event.get("body", b"")
        return body

    async def _expect_end(self) -> None:
        while not (self._buffer or self._is_over):
            self._buffer += await self._event()
        if self._buffer:
            raise not_one("more than one")

    async def _decompressed(self, message: bytes, held: HeldBytes) -> bytes:
        if self._encoding not in _COMPRESS:
            raise invalid_input(
                Violation("grpc-encoding", "gzip or deflate, as the message is compressed", shown(self._encoding)),
                kind=ErrorKind.MALFORMED if self._encoding in {"", "identity"} else ErrorKind.NOT_SUPPORTED,
            )
        data = await decompressed(message, self._encoding, limit=self._limit, hold=held.take)
        held.give_back(len(message))
        return data


def check_message_size(size: int, limit: int) -> None:
    """Refuses a message that is over the limit (``max_request_bytes``).

    Raises:
        GatewayError: TOO_LARGE.
    """
    if size > limit:
        expected = f"at most {limit} bytes (max_request_bytes)"
        raise invalid_input(Violation("body", expected, f"{size} bytes"), kind=ErrorKind.TOO_LARGE)


def not_one(got: str) -> GatewayError:
    """Returns the error of a unary call with no message, or more than one."""
    return _malformed("one message", got)


def framed(message: bytes, encoding: str = "") -> bytes:
    """Returns a message with its prefix, compressed where there is an encoding."""
    if encoding:
        message = _COMPRESS[encoding](message)
        return _PREFIX.pack(_COMPRESSED, len(message)) + message
    return _PREFIX.pack(0, len(message)) + message


def framed_trailers(trailers: list[tuple[bytes, bytes]]) -> bytes:
    """Returns trailers as gRPC-Web has them: at the end of the body, in a frame of their own."""
    text = b"".join(b"%b: %b\r\n" % pair for pair in trailers)
    return _PREFIX.pack(_TRAILERS, len(text)) + text


def answer_encoding(encoding: str, accepted: str) -> str:
    """Returns how answers are compressed: as the requests were, where the client takes it; empty for not at all."""
    takes = {name.strip() for name in accepted.split(",")}
    return encoding if encoding in _COMPRESS and encoding in takes else ""


def _malformed(expected: str, got: str) -> GatewayError:
    return invalid_input(Violation("body", expected, got), kind=ErrorKind.MALFORMED)
