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

    def admitted(self, what: str = "requests") -> "_Place":
        """Returns what holds one place for its body.

        Entering it raises GatewayError: NOT_READY while draining, OVERLOADED when no place is free.

        Args:
            what: ``requests`` or ``streams``.
        """
        return _Place(self, what)

    def enter(self, what: str) -> None:
        """Takes a place.

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
        self.in_flight[what] += 1
        self._idle.clear()

    def leave(self, what: str) -> None:
        """Gives a place back."""
        self.in_flight[what] -= 1
        if not any(self.in_flight.values()):
            self._idle.set()

    def held(self) -> "HeldBytes":
        """Returns what counts the bytes that are held while its body runs."""
        return HeldBytes(self._bytes)

    def bytes_held(self) -> int:
        """Returns how many bytes of requests are held."""
        return self._bytes.held

    def refuse(self) -> None:
        """Admits nothing from now on."""
        self.draining.set()

    async def idle(self) -> None:
        """Waits until nothing is in flight."""
        await self._idle.wait()


class _Place:
    """One place; a class, and no generator, as every request passes it."""

    __slots__ = ("_admission", "_what")

    def __init__(self, admission: Admission, what: str) -> None:
        self._admission = admission
        self._what = what

    def __enter__(self) -> None:
        self._admission.enter(self._what)

    def __exit__(self, *error: object) -> None:
        self._admission.leave(self._what)


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
    """What one request holds of the bytes in flight, given back at the end; may be told from several threads.

    Attributes:
        taken: In bytes.
    """

    def __init__(self, total: _Bytes) -> None:
        self._total = total
        self._closed = False
        self.taken = 0

    def __enter__(self) -> "HeldBytes":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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

    def close(self) -> None:
        """Gives everything back; from now on nothing more can be taken."""
        with self._total.lock:
            self._closed = True
            self._total.held -= self.taken
            self.taken = 0
