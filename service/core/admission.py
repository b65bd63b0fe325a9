"""Admission: how many requests may be in flight, decided before any work is spent on one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import ErrorKind, GatewayError


class Admission:
    """Counts the requests in flight; refuses those beyond the limit, and all of them once draining.

    Args:
        limit: How many requests may be in flight at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._draining = asyncio.Event()
        self.in_flight = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Holds one place for the body.

        Raises:
            GatewayError: NOT_READY while draining, OVERLOADED when no place is free.
        """
        if self._draining.is_set():
            raise GatewayError(ErrorKind.NOT_READY, "the server is going down")
        if self.in_flight >= self._limit:
            raise GatewayError(
                ErrorKind.OVERLOADED,
                f"{self.in_flight} requests are in flight, as many as max_requests_in_flight admits",
            )
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @property
    def draining(self) -> asyncio.Event:
        """Set from the moment when no request is admitted any more."""
        return self._draining

    def refuse(self) -> None:
        """Admits no request from now on."""
        self._draining.set()
