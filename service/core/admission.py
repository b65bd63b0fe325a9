"""Admission: how much may be in flight, decided before any work is spent on it."""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field

from service.core.client_share import leaves_room
from service.errors import ErrorKind, GatewayError

_MULTIPLE = 64
"""What parsed messages take at most, in multiples of their bytes."""
_WEIGHED, _UNWEIGHED = 256 * 1024, 4 * 1024
"""Size of a message above which what it holds is always counted, and size up to which it never is."""


class Admission:
    """Counts what is in flight; refuses what goes beyond the limits, and everything once draining.

    Args:
        requests: How many requests may be in flight at a time.
        streams: How many streams may be open at a time.
        request_bytes: How many bytes of requests may be held at a time.
        clients: What one client may have of all that, where the server tells clients apart.
    """

    def __init__(
        self, *, requests: int, streams: int, request_bytes: int, clients: "ClientBounds | None" = None
    ) -> None:
        self._limits = {"requests": requests, "streams": streams}
        self._clients = clients or ClientBounds()
        self._of_clients: dict[str, Counter[str]] = {"requests": Counter(), "streams": Counter()}
        self._bytes = _Bytes(request_bytes, self._clients)
        self._idle = asyncio.Event()
        self._idle.set()
        self.in_flight = {"requests": 0, "streams": 0}
        self.draining = asyncio.Event()
        """Set once nothing is admitted any more."""

    def admitted(self, what: str | None = "requests", client: str = "", *, later: bool = False) -> "HeldBytes":
        """Returns what holds a place for its body, and counts the bytes that it holds meanwhile.

        Entering it raises GatewayError: NOT_READY while draining, OVERLOADED when no place is free.

        Args:
            what: ``requests`` or ``streams``; ``None`` for a probe, which takes no place.
            client: Who takes them, where the server tells clients apart; else empty.
            later: Whether the place is taken by `HeldBytes.admit` only, once there is something to do.
        """
        return HeldBytes(self, self._bytes, what, client, later=later)

    def check(self, what: str, client: str = "") -> None:
        """Checks that a place is free for a client.

        Raises:
            GatewayError: NOT_READY or OVERLOADED.
        """
        if self.draining.is_set():
            raise GatewayError(ErrorKind.NOT_READY, "the server is going down")
        free = self._limits[what] - self.in_flight[what]
        if free <= 0:
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{self.in_flight[what]} {what} are in flight, as many as max_{what}_in_flight admits",
            )
        if client and not leaves_room(self._of_clients[what][client], free, self._clients.share):
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{self._of_clients[what][client]} {what} of this client are in flight, as many as max_client_share "
                f"admits of one: the {free} places that are free are left to others",
            )

    def enter(self, what: str, client: str = "") -> None:
        """Takes a place.

        Raises:
            GatewayError: NOT_READY or OVERLOADED.
        """
        self.check(what, client)
        self.in_flight[what] += 1
        if client:
            self._of_clients[what][client] += 1
        self._idle.clear()

    def leave(self, what: str, client: str = "") -> None:
        """Gives a place back."""
        self.in_flight[what] -= 1
        if client:
            _subtract(self._of_clients[what], client, 1)
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


@dataclass(frozen=True, slots=True)
class ClientBounds:
    """What one client may have of what there is for all.

    Attributes:
        share: Its share of the places and of the bytes: see `leaves_room`.
        whole_request: Bytes that it may hold whatever its share: as many as the longest request has.
    """

    share: float = 1.0
    whole_request: int = 0


@dataclass(slots=True)
class _Bytes:
    """How many bytes are held, whatever thread counts them.

    Attributes:
        limit: The most that may be held.
        bounds: What one client may have.
        held: Bytes of all requests.
        clients: Bytes by client, where the server tells clients apart.
        lock: Held while a count changes.
    """

    limit: int
    bounds: ClientBounds
    held: int = 0
    clients: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


class HeldBytes:
    """What one call holds: its place, and bytes of those in flight; all given back at the end.

    Bytes may be counted from several threads. A class, and no generator, as every call passes it.

    Attributes:
        taken: How many bytes it holds.
    """

    __slots__ = ("_admission", "_client", "_closed", "_has_place", "_later", "_total", "_what", "taken")

    def __init__(self, admission: Admission, total: _Bytes, what: str | None, client: str, *, later: bool) -> None:
        self._admission = admission
        self._total = total
        self._what = what
        self._client = client
        self._later = later
        self._has_place = False
        self._closed = False
        self.taken = 0

    def __enter__(self) -> "HeldBytes":
        if self._what is not None and self._later:
            self._admission.check(self._what, self._client)
        else:
            self.admit()
        return self

    def close(self, *error: object) -> None:
        """Gives everything back, and takes nothing more."""
        with self._total.lock:
            self._closed = True
            self._count(-self.taken)
        if self._has_place and self._what is not None:
            self._admission.leave(self._what, self._client)

    __exit__ = close

    def admit(self) -> None:
        """Takes the place.

        Raises:
            GatewayError: NOT_READY or OVERLOADED.
        """
        if self._what is not None:
            self._admission.enter(self._what, self._client)
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
            if size > total.limit:
                raise GatewayError(
                    ErrorKind.TOO_LARGE, f"it takes {size} bytes of memory, max_bytes_in_flight admits {total.limit}"
                )
            free = total.limit - total.held
            if size > free:
                raise GatewayError(
                    ErrorKind.OVERLOADED,
                    f"{total.held} bytes of requests are held, max_bytes_in_flight admits {total.limit}",
                )
            if self._client:
                self._check_share(size, free)
            self._count(size)

    def must_weigh(self, size: int) -> bool:
        """Returns whether what a message of that many bytes holds beyond them is to be counted.

        To find that out takes its time. So small ones are not looked at while all that are held could hold as much.
        """
        return size > _WEIGHED or (size > _UNWEIGHED and self._total.held * _MULTIPLE > self._total.limit)

    def give_back(self, size: int) -> None:
        """Gives some back before the end."""
        with self._total.lock:
            self._count(-size)

    def part(self, size: int) -> "HeldBytes":
        """Returns what holds so many of these bytes from now on, closed by itself. No thread may take any meanwhile."""
        part = HeldBytes(self._admission, self._total, None, self._client, later=False)
        self.taken -= size
        part.taken = size
        return part

    def _check_share(self, size: int, free: int) -> None:
        bounds, held = self._total.bounds, self._total.clients[self._client]
        if held + size > bounds.whole_request and not leaves_room(held, free, bounds.share):
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{held} bytes of this client's requests are held, as many as max_client_share admits of one: the "
                f"{free} bytes that are free are left to others",
            )

    def _count(self, size: int) -> None:
        """Counts so many bytes more, or less; the caller holds the lock."""
        self._total.held += size
        self.taken += size
        if self._client:
            _subtract(self._total.clients, self._client, -size)


def _subtract(counts: Counter[str], client: str, number: int) -> None:
    """Counts so many less; a client that has nothing left is forgotten."""
    left = counts[client] - number
    if left:
        counts[client] = left
    else:
        counts.pop(client, None)
