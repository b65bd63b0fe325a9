"""Compressed request bodies: unpacked step by step, so that a small body that unpacks to much stops at the limit."""

import zlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

from service.core.offload import INLINE_BYTES, offloaded
from service.errors import ErrorKind, GatewayError, Violation, invalid_input, shown

WHERE = "Content-Encoding"
"""What errors name."""

_STEP = 1024 * 1024
"""Bytes unpacked on a thread at a time; the first step is a small one, which needs none."""
_PIECE = 64 * 1024
_MAX_MEMBERS = 1024
"""Of gzip; a body of nothing but empty ones would keep a thread busy for long."""
_IDENTITY = frozenset({"", "identity"})
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


class _Decompressor(Protocol):
    """What `zlib.decompressobj` returns."""

    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes | memoryview, max_length: int = ..., /) -> bytes: ...


async def decompressed(data: bytes, encoding: str, *, limit: int, hold: Callable[[int], None]) -> bytes:
    """Returns the body as it was before it was encoded.

    Args:
        data: The body as it came.
        encoding: The value of ``Content-Encoding``: gzip, deflate or identity; empty where there is no such header.
        limit: How many bytes it may unpack to (``max_request_bytes``).
        hold: Counts the bytes of each step before they are kept, on the event loop; may raise.

    Raises:
        GatewayError: UNSUPPORTED_FORMAT for another encoding, MALFORMED for what is damaged or cut off, TOO_LARGE.
    """
    name = encoding.strip().lower()
    if name in _IDENTITY:
        return data
    if name not in _WINDOW_BITS:
        raise invalid_input(
            Violation(WHERE, "gzip, deflate or identity", shown(encoding)), kind=ErrorKind.UNSUPPORTED_FORMAT
        )
    unpacking = _Unpacking(data, name)
    parts: list[bytes] = []
    kept, size = 0, INLINE_BYTES
    while not unpacking.done:
        part = await offloaded(size, partial(unpacking.step, min(size, limit + 1 - kept)))
        kept += len(part)
        if kept > limit:
            raise invalid_input(
                Violation("body", f"at most {limit} bytes (max_request_bytes)", "more, once unpacked"),
                kind=ErrorKind.TOO_LARGE,
            )
        hold(len(part))
        parts.append(part)
        size = _STEP
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Unpacking:
    """The steps of one body; gzip may be several members, one after the other.

    Attributes:
        done: Whether all of it is unpacked.
    """

    def __init__(self, data: bytes, encoding: str) -> None:
        self._data = memoryview(data)
        self._encoding = encoding
        self._offset = 0
        self._members = 1
        self._decompressor: _Decompressor = zlib.decompressobj(_WINDOW_BITS[encoding])
        self.done = False

    def step(self, size: int) -> bytes:
        """Returns that many more bytes, or all that are left if they are fewer.

        Raises:
            GatewayError: MALFORMED.
        """
        parts = []
        while size and not self.done:
            part = self._piece(size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _piece(self, size: int) -> bytes:
        # Of a piece at a time: zlib copies whatever it was given and did not use.
        piece = self._data[self._offset : self._offset + _PIECE]
        try:
            part = self._decompressor.decompress(piece, size)
        except zlib.error:
            raise self._malformed("something else") from None
        if not piece and not part and not self._decompressor.eof:
            raise self._malformed("a body that is cut off")
        unused = len(self._decompressor.unconsumed_tail) + len(self._decompressor.unused_data)
        self._offset += len(piece) - unused
        if self._decompressor.eof:
            self._end_member()
        return part

    def _end_member(self) -> None:
        if self._offset == len(self._data):
            self.done = True
        elif self._encoding == "deflate":
            raise self._malformed("bytes after its end")
        elif self._members == _MAX_MEMBERS:
            raise self._malformed(f"more than {_MAX_MEMBERS} members")
        else:
            self._members += 1
            self._decompressor = zlib.decompressobj(_WINDOW_BITS[self._encoding])

    def _malformed(self, got: str) -> GatewayError:
        return invalid_input(Violation("body", f"{self._encoding} data", got), kind=ErrorKind.MALFORMED)
