"""Deadlines: the instant after which nobody waits for an answer, and how calls are held to it."""

import asyncio
import math
import time
import weakref
from dataclasses import dataclass
from types import TracebackType
from typing import cast

from service.errors import ErrorKind, GatewayError

_RESOLUTION_SECONDS = 0.001
"""The resolution of the event loop's timers: one may come that much early."""


@dataclass(slots=True)  # not frozen, as every call has one: that would make it three times as slow to create
class Deadline:
    """The instant after which nobody waits for the answer. Not to be changed.

    Attributes:
        at: In seconds of the monotonic clock, which is the event loop's clock too.
        allowed: How many seconds there were at the start; for the error text.
    """

    at: float
    allowed: float

    @classmethod
    def after(cls, seconds: float, *, sooner: float = 0.0) -> "Deadline":
        """Returns the deadline that many seconds from now; ``sooner`` has it pass earlier than its error says."""
        return cls(time.monotonic() + seconds - sooner, seconds)

    def remaining(self) -> float:
        """Returns the seconds that are left; negative when the deadline has passed."""
        return self.at - time.monotonic()

    @property
    def has_passed(self) -> bool:
        """Whether it has passed, as far as timers can tell: they cancel what is held to it up to that much early."""
        return self.remaining() <= _RESOLUTION_SECONDS

    def enforced(self) -> "_Enforced":
        """Returns what cancels its body when the deadline passes, and does not begin it when that has happened already.

        It raises GatewayError: TIMEOUT, in place of the body's outcome.
        """
        return _Enforced(self)

    def timeout(self) -> GatewayError:
        """Returns the error of a request whose deadline has passed."""
        return GatewayError(ErrorKind.TIMEOUT, f"no answer within the {self.allowed:.3g} s that the request allowed")


NO_DEADLINE = Deadline(math.inf, math.inf)
"""The deadline of what may take as long as it needs."""


class _Enforced:
    """A deadline held to, as `asyncio.timeout_at` holds to one; a class of its own, as every request passes it."""

    __slots__ = ("_cancellations", "_passed", "_task", "_watch", "deadline")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._passed = False
        self._watch: _Watch | None = None

    def __enter__(self) -> None:
        if self.deadline.remaining() <= 0:
            raise self.deadline.timeout()
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancellations = self._task.cancelling()
        if self.deadline.at != math.inf:
            self._watch = _watch_of(self._task.get_loop())
            self._watch.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.remove(self)
        # Where somebody else has cancelled the task as well, it stays cancelled.
        if self._passed and self._task.uncancel() <= self._cancellations and kind is asyncio.CancelledError:
            raise self.deadline.timeout() from None

    def expire(self) -> None:
        """Cancels the body."""
        self._passed = True
        self._task.cancel()


class _Watch:
    """Cancels what passes its deadline, on one event loop.

    All deadlines share one timer, set for the earliest that there was: nearly all calls end long before theirs, and a
    timer for each took a tenth of the time that a request takes.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak, as this is the value of a dictionary whose weak key the loop is.
        self._loop = weakref.ref(loop)
        self._watched: set[_Enforced] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def add(self, enforced: _Enforced) -> None:
        """Watches a deadline."""
        self._watched.add(enforced)
        if enforced.deadline.at < self._next:
            self._set(enforced.deadline.at)

    def remove(self, enforced: _Enforced) -> None:
        """Stops watching it."""
        self._watched.discard(enforced)

    def _set(self, at: float) -> None:
        loop = self._loop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if loop is not None:
            self._next = at
            self._timer = loop.call_at(at, self._look)

    def _look(self) -> None:
        self._next = math.inf
        latest = time.monotonic() + _RESOLUTION_SECONDS
        for enforced in [enforced for enforced in self._watched if enforced.deadline.at <= latest]:
            self._watched.remove(enforced)
            enforced.expire()
        if self._watched:
            self._set(min(enforced.deadline.at for enforced in self._watched))


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = _Watch(loop)
    return watch


_watches: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch]" = weakref.WeakKeyDictionary()
