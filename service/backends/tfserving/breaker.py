"""The circuit breaker of one replica: when it gets no requests, and when it may have them again."""

import time
from collections.abc import Callable
from enum import Enum

_FAILURES = 10
"""Failures in a row that open the breaker of a replica that answers at all; one bad request makes several, as its batch
is halved."""
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0


class BreakerState(Enum):
    """Whether requests pass."""

    CLOSED = "closed"
    """They do."""
    OPEN = "open"
    """They do not, until a probe succeeds."""
    HALF_OPEN = "half open"
    """They do: the first success closes it, the first failure opens it again."""


class CircuitBreaker:
    """Opens when a replica cannot be reached, or fails again and again.

    A successful probe closes it, or half-opens it where it had opened for failures. Each time that it opens for
    failures without a success in between, it stays open for longer.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state = BreakerState.CLOSED
        self._clock = clock
        self._failures = 0
        self._times_opened = 0
        self._opened_at = 0.0
        self._open_until = 0.0
        self._reachable = True

    def record_success(self) -> None:
        """Records a good answer to a request."""
        self._failures = 0
        if self.state is not BreakerState.OPEN:
            self.state = BreakerState.CLOSED
            self._times_opened = 0

    def record_failure(self) -> bool:
        """Records a failed request; returns whether the breaker opens for it."""
        self._failures += 1
        closed = self.state is BreakerState.CLOSED
        if self.state is BreakerState.OPEN or (closed and self._failures < _FAILURES):
            return False
        self._open(min(_FIRST_SECONDS * 2**self._times_opened, _LONGEST_SECONDS), reachable=True)
        self._times_opened += 1
        return True

    def record_unreachable(self) -> bool:
        """Records that there was no answer at all; returns whether the breaker opens for it."""
        if self.state is BreakerState.OPEN and not self._reachable:
            return False
        self._open(0.0, reachable=False)
        return True

    def record_probe(self) -> None:
        """Records a good answer to a probe."""
        self._reachable = True
        if self.state is BreakerState.OPEN and self._clock() >= self._open_until:
            self.state = BreakerState.HALF_OPEN if self._failures >= _FAILURES else BreakerState.CLOSED

    def unreachable_seconds(self) -> float:
        """Returns for how long there has been no answer at all; 0 while there are any, good or bad."""
        down = self.state is BreakerState.OPEN and not self._reachable
        return self._clock() - self._opened_at if down else 0.0

    def _open(self, seconds: float, *, reachable: bool) -> None:
        self.state = BreakerState.OPEN
        self._opened_at = self._clock()
        self._open_until = self._opened_at + seconds
        self._reachable = reachable
