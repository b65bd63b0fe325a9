"""The retry budget: how many requests may be tried again, so that retries never become a storm of their own."""

import time
from collections.abc import Callable


class RetryBudget:
    """Allows retries up to a share of the requests, and a few a second whatever the traffic.

    Args:
        ratio: Retries allowed for each request.
        each_second: Retries allowed each second, beside those.
        most: Retries that may have been saved up.
        clock: Tells seconds.
    """

    def __init__(
        self,
        *,
        ratio: float,
        each_second: float = 10.0,
        most: float = 100.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._each_second = each_second
        self._most = most
        self._clock = clock
        self._saved = min(each_second, most)
        self._told = clock()

    def earn(self) -> None:
        """Notes a request."""
        self._saved = min(self._saved + self._ratio, self._most)

    def spend(self) -> bool:
        """Takes one retry out of the budget; returns whether there was one."""
        now = self._clock()
        self._saved = min(self._saved + (now - self._told) * self._each_second, self._most)
        self._told = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
