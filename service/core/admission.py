"""Admission: how much may be in flight, decided before any work is spent on it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ErrorKind, GatewayError


class Admission:
    """Counts what is in flight; refuses what goes beyond the limits, and everything once draining.

    Args:
        requests: How many requests may be in flight at a time.
        streams: How many streams may be open at a time.
        request_bytes: How many bytes of requests may be held at a time.
    """

    def __init__(self, *, requests: int, streams: int, request_bytes: int) -> None:
        self._limits = {"requests": requests, "streams": streams}
        self._max_bytes = request_bytes
        self._bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = {"requests": 0, "streams": 0}
        self.draining = asyncio.Event()
        """Set from the moment when nothing is admitted any more."""

    @contextmanager
    def admitted(self, what: str = "requests") -> Iterator[None]:
        """Holds one place for the body.

        Args:
            what: ``requests`` or ``streams``.

        Raises:
            GatewayError: NOT_READY while draining, OVERLOADED when no place is free.
        """
        if self.draining.is_set():
            raise GatewayError(ErrorKind.NOT_READY, "the server is going down")
        if self.in_flight[what] >= self._limits[what]:
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{self.in_flight[what]} {what} are in flight, as many as max_{what}_in_flight admits",
            )
        self.in_flight[what] += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight[what] -= 1
            if not any(self.in_flight.values()):
                self._idle.set()

    @contextmanager
    def held(self) -> Iterator["HeldBytes"]:
        """Counts bytes that are held while the body runs."""
        count = HeldBytes(self)
        try:
            yield count
        finally:
            self._bytes -= count.taken

    def take(self, size: int) -> None:
        """Counts more bytes; use `held`, which gives them back.

        Raises:
            GatewayError: OVERLOADED when there are too many.
        """
        if self._bytes + size > self._max_bytes:
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{self._bytes} bytes of requests are held, max_bytes_in_flight admits {self._max_bytes}",
            )
        self._bytes += size

    def refuse(self) -> None:
        """Admits nothing from now on."""
        self.draining.set()

    async def idle(self) -> None:
        """Waits until nothing is in flight."""
        await self._idle.wait()


class HeldBytes:
    """What one request holds of the bytes in flight.

    Attributes:
        taken: In bytes.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.taken = 0

    def take(self, size: int) -> None:
        """Takes more.

        Raises:
            GatewayError: OVERLOADED when there are too many in flight.
        """
        self._admission.take(size)
        self.taken += size

    def give_back(self, size: int) -> None:
        """Gives some back before the end."""
        self._admission.take(-size)
        self.taken -= size
