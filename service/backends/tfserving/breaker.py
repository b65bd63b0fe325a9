"""The circuit breaker of one replica: when it is left out, and when it may come back."""

import time
from collections.abc import Callable

_FAILURES = 10
"""In a row, before a replica that answers at all is left out; one bad request makes several, as its batch is halved."""
_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0


class Breaker:
    """Opens when a replica cannot be reached, or fails again and again; closes on the replica's next good answer.

    Each time that it opens without a success in between, it stays open for longer.

    Args:
        clock: Tells seconds.

    Attributes:
        opened: When it opened, by the clock; ``None`` while it is closed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._times_opened = 0
        self._until = 0.0
        self._reached = True
        self.opened: float | None = None

    def succeeded(self) -> None:
        """Notes a good answer to a request."""
        self._failures = 0
        if self.opened is None:
            self._times_opened = 0

    def failed(self) -> bool:
        """Notes a failed answer; returns whether the breaker opens for it."""
        self._failures += 1
        if self.opened is not None or self._failures < _FAILURES:
            return False
        self._open(min(_FIRST_SECONDS * 2**self._times_opened, _LONGEST_SECONDS), reached=True)
        self._failures = _FAILURES - 1  # the next failure after its return is enough
        self._times_opened += 1
        return True

    def unreachable(self) -> bool:
        """Notes that there was no answer at all; returns whether the breaker opens for it."""
        if self.opened is not None and not self._reached:
            return False
        self._open(0.0, reached=False)
        return True

    def probed(self) -> bool:
        """Notes a good answer to a probe; returns whether the breaker closes for it."""
        self._reached = True
        if self.opened is None or self._clock() < self._until:
            return False
        self.opened = None
        return True

    def unreachable_seconds(self) -> float:
        """Returns for how long there has been no answer at all; 0 while there are any, good or bad."""
        return 0.0 if self.opened is None or self._reached else self._clock() - self.opened

    def _open(self, seconds: float, *, reached: bool) -> None:
        self.opened = self._clock()
        self._until = self.opened + seconds
        self._reached = reached
