"""Admission: how much may be in flight, decided before any work is spent on it."""

import asyncio
import threading

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
        self._bytes = _Bytes(request_bytes)
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = {"requests": 0, "streams": 0}
        self.draining = asyncio.Event()
        """Set from the moment when nothing is admitted any more."""

    def admitted(self, what: str | None = "requests", *, later: bool = False) -> "HeldBytes":
        """Returns what holds a place for its body, and counts the bytes that it holds meanwhile.

        Entering it raises GatewayError: NOT_READY while draining, OVERLOADED when no place is free.

        Args:
            what: ``requests`` or ``streams``; ``None`` for a probe, which takes no place.
            later: Whether the place is taken by `HeldBytes.admit` only, once there is something to do.
        """
        return HeldBytes(self, self._bytes, what, later=later)

    def check(self, what: str) -> None:
        """Looks whether a place is free.

        Raises:
            GatewayError: NOT_READY or OVERLOADED.
        """
        if self.draining.is_set():
            raise GatewayError(ErrorKind.NOT_READY, "the server is going down")
        if self.in_flight[what] >= self._limits[what]:
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{self.in_flight[what]} {what} are in flight, as many as max_{what}_in_flight admits",
            )

    def enter(self, what: str) -> None:
        """Takes a place.

        Raises:
            GatewayError: NOT_READY or OVERLOADED.
        """
        self.check(what)
        self.in_flight[what] += 1
        self._idle.clear()

    def leave(self, what: str) -> None:
        """Gives a place back."""
        self.in_flight[what] -= 1
        if not any(self.in_flight.values()):
            self._idle.set()

    def bytes_held(self) -> int:
        """Returns how many bytes of requests are held."""
        return self._bytes.held

    def refuse(self) -> None:
        """Admits nothing from now on."""
        self.draining.set()

    async def idle(self) -> None:
        """Waits until nothing is in flight."""
        await self._idle.wait()


class _Bytes:
    """How many bytes are held, whatever thread counts them.

    Attributes:
        limit: As many as may be.
        held: Of all requests.
        lock: Held while a count changes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.lock = threading.Lock()


class HeldBytes:
    """What one call holds: its place, and bytes of those in flight; all given back at the end.

    Bytes may be counted from several threads. A class, and no generator, as every call passes it.

    Attributes:
        taken: In bytes.
    """

    __slots__ = ("_admission", "_closed", "_has_place", "_later", "_total", "_what", "taken")

    def __init__(self, admission: Admission, total: _Bytes, what: str | None, *, later: bool) -> None:
        self._admission = admission
        self._total = total
        self._what = what
        self._later = later
        self._has_place = False
        self._closed = False
        self.taken = 0

    def __enter__(self) -> "HeldBytes":
        if self._what is not None and self._later:
            self._admission.check(self._what)
        else:
            self.admit()
        return self

    def __exit__(self, *error: object) -> None:
        with self._total.lock:
            self._closed = True
            self._total.held -= self.taken
            self.taken = 0
        if self._has_place and self._what is not None:
            self._admission.leave(self._what)

    def admit(self) -> None:
        """Takes the place.

        Raises:
            GatewayError: NOT_READY or OVERLOADED.
        """
        if self._what is not None:
            self._admission.enter(self._what)
            self._has_place = True

    def take(self, size: int) -> None:
        """Takes more.

        Raises:
            GatewayError: OVERLOADED when there are too many in flight; CANCELLED when the request is over, and only a
                thread that works for it does not know yet.
        """
        total = self._total
        with total.lock:
            if self._closed:
                raise GatewayError(ErrorKind.CANCELLED, "the request is over")
            if total.held + size > total.limit:
                raise GatewayError(
                    ErrorKind.OVERLOADED,
                    f"{total.held} bytes of requests are held, max_bytes_in_flight admits {total.limit}",
                )
            total.held += size
            self.taken += size

    def give_back(self, size: int) -> None:
        """Gives some back before the end."""
        with self._total.lock:
            self._total.held -= size
            self.taken -= size
