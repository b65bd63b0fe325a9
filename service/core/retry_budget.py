"""The retry budget: how many runs may be repeated, so that retries never become a storm of their own."""

import time
from collections.abc import Callable


class RetryBudget:
    """Allows retries up to a share of the runs, and a few a second whatever the traffic.

    Args:
        ratio: Retries allowed for each run.
        per_second: Retries allowed each second, besides those.
        max_saved: Retries that can be saved up.
        clock: Returns seconds.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.2,
        per_second: float = 10.0,
        max_saved: float = 100.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._per_second = per_second
        self._max_saved = max_saved
        self._clock = clock
        self._saved = min(per_second, max_saved)
        self._updated_at = clock()

    def add_run(self) -> None:
        """Counts a run: a share of a retry is saved up for it."""
        self._saved = min(self._saved + self._ratio, self._max_saved)

    def take_retry(self) -> bool:
        """Takes one retry from the budget; returns whether there was one."""
        now = self._clock()
        self._saved = min(self._saved + (now - self._updated_at) * self._per_second, self._max_saved)
        self._updated_at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
