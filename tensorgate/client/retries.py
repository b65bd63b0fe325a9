"""Which calls are made again, and when."""

import random
from dataclasses import dataclass, field
from threading import Lock

from tensorgate.client.calls import Deadline
from tensorgate.client.errors import Overloaded, RateLimited, TensorgateError, Unavailable


@dataclass(frozen=True, slots=True)
class Retries:
    """How calls that failed are made again.

    A call is made again if it changes nothing, no server could be reached or the server asked for patience, and its
    deadline leaves the time. A server that says how long to wait is believed; else the wait is drawn at random, from
    nothing to a limit that doubles each time.

    Attributes:
        attempts: How often a call is made at most, the first time included; 1 for no retries.
        first: Seconds of the first wait at most.
        longest: Seconds of any drawn wait at most.
        budget: How many retries the client may make in a row; ten calls that succeed allow one more. So a server that
            is down for all is not asked many times as much.
    """

    attempts: int = 4
    first: float = 0.1
    longest: float = 2.0
    budget: float = 10.0


@dataclass(slots=True)
class RetryPolicy:
    """Decides for one client; may be used by several threads."""

    retries: Retries
    _tokens: float = field(init=False)
    _lock: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._tokens = self.retries.budget

    def succeeded(self) -> None:
        """Notes a call that succeeded."""
        if self._tokens < self.retries.budget:
            with self._lock:
                self._tokens = min(self._tokens + 0.1, self.retries.budget)

    def wait(self, error: TensorgateError, attempt: int, deadline: Deadline) -> float | None:
        """Returns the seconds until the call is to be made again; ``None`` where it is not.

        Args:
            error: What it failed with.
            attempt: How often it was made.
            deadline: Of all attempts.
        """
        if attempt >= self.retries.attempts or not _may_pass(error):
            return None
        limit = min(self.retries.longest, self.retries.first * 2.0 ** (attempt - 1))
        drawn = random.uniform(0, limit)  # noqa: S311  # spreads callers, and keeps no secret
        seconds = drawn if error.retry_after is None else error.retry_after + drawn
        return seconds if deadline.leaves(seconds) and self._spend() else None

    def _spend(self) -> bool:
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def _may_pass(error: TensorgateError) -> bool:
    """Whether the same call may succeed a moment later."""
    if isinstance(error, RateLimited | Overloaded):
        return error.retry_after is not None
    return isinstance(error, Unavailable)
