"""One version, in memory or on standby: its model while it is loaded, its users, and those who wait for a reload."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.backends.registry import MemoryBound
from service.backends.savedmodel.folder import FoundVersion, Key
from service.backends.savedmodel.runners import Model
from service.errors import ErrorKind, GatewayError

if TYPE_CHECKING:
    from service.core.load_progress import LoadProgress

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds after a failed reload in which there is no other; doubled each time."""


class Taken:
    """The memory of one model, from before it is loaded until it has been freed.

    Args:
        size: In bytes.
        given_back: Called once on the event loop's thread when the memory is free.

    Attributes:
        size: In bytes.
        is_ending: Whether the memory will become free without further ado.
    """

    __slots__ = ("_given_back", "_loop", "is_ending", "size")

    def __init__(self, size: int, given_back: Callable[["Taken"], None]) -> None:
        self.size = size
        self.is_ending = False
        self._given_back = given_back
        self._loop = asyncio.get_running_loop()

    def give_back(self) -> None:
        """Notes that the memory is free; may be called on any thread, and more than once."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._given_back, self)


@dataclass(frozen=True, slots=True)
class Held:
    """A model that has been loaded, and its memory."""

    model: Model
    taken: Taken


class Resident:
    """The handle of a version, and its residence where memory is bounded. For the event loop's thread only.

    A version that is evicted while it is in use takes no more requests, and leaves memory with its last user. After a
    reload that failed, requests are refused for a while, as each attempt may evict other versions.

    Args:
        key: Name and version.
        found: What was on disk when it was loaded, or first seen.
        bound: The bound of all memory; without one nothing is evicted.
        reload: Loads it; with ``True`` only if no other version has to be evicted for it.
        evicted: Called when it has been evicted.
        uses: Counts the uses of all versions.

    Attributes:
        key: Name and version.
        found: What was on disk when it was loaded, or first seen.
        last_use: When it was last used, in uses of any version.
        progress: The progress of a reload, while there is one.
        refusal: Why the last reload failed, where the version is still served; else empty.
        seconds: How long the last load took.
    """

    def __init__(
        self,
        key: Key,
        found: FoundVersion,
        *,
        bound: MemoryBound | None,
        reload: Callable[["Resident", bool], Awaitable[None]] | None,
        evicted: Callable[["Resident"], None],
        uses: Iterator[int],
    ) -> None:
        self.key = key
        self.found = found
        self._bound = bound
        self._reload = reload
        self._evicted = evicted
        self._uses = uses
        self._held: Held | None = None
        self._is_being_evicted = False
        self._users = 0
        self._waiting: set[asyncio.Future[bool]] = set()
        self._reloading: asyncio.Task[None] | None = None
        self.last_use = next(uses)
        self._pause = 0.0
        self._paused_until = 0.0
        self.progress: LoadProgress | None = None
        self.refusal = ""
        self.seconds = 0.0

    @property
    def residence(self) -> "Resident | None":
        """Itself, if it can be evicted."""
        return None if self._bound is None else self

    @property
    def model(self) -> Model | None:
        """The model, while it is in memory; it always is while the version is in use."""
        return None if self._held is None else self._held.model

    @property
    def is_loaded(self) -> bool:
        """Whether a request that comes now finds it in memory."""
        return self._held is not None and not self._is_being_evicted

    @property
    def is_used(self) -> bool:
        """Whether there are users."""
        return self._users > 0

    def enter(self) -> None:
        """Counts one more user."""
        self._users += 1
        self.last_use = next(self._uses)

    def leave(self) -> None:
        """Counts one user less."""
        self._users -= 1
        if not self._users and self._is_being_evicted:
            self._end_eviction()

    def put(self, held: Held) -> None:
        """Takes the model that was loaded."""
        self._held = held
        self._is_being_evicted = False
        self._pause = self._paused_until = 0.0
        self.last_use = next(self._uses)

    def evict(self) -> int:
        """Evicts the model as soon as it has no users; returns the bytes that this will free."""
        if self._held is None or self._held.taken.is_ending:
            return 0
        self._held.taken.is_ending = True
        size = self._held.taken.size
        self._is_being_evicted = True
        if not self._users:
            self._end_eviction()
        return size

    def _end_eviction(self) -> None:
        self._held = None
        self._is_being_evicted = False
        self._evicted(self)

    def keep(self) -> None:
        """Cancels an eviction that waits for the last user."""
        if self._is_being_evicted and self._held is not None:
            self._is_being_evicted = self._held.taken.is_ending = False

    def end(self) -> None:
        """Notes that the version is dropped: its memory becomes free once its last request is answered."""
        if self._held is not None:
            self._held.taken.is_ending = True

    async def load(self, seconds: float) -> bool:
        """Waits for a reload; counts one more user if it succeeds. Returns whether it did."""
        if self._bound is None or self._reload is None:
            return self._held is not None
        if len(self._waiting) >= self._bound.most_waiting:
            text = f"{len(self._waiting)} requests wait for {self} to be loaded, as many as may (max_queue_size)"
            raise GatewayError(ErrorKind.OVERLOADED, text)
        if self._reloading is None:
            if (pause := self._paused_until - time.monotonic()) > 0:
                raise self._refused(retry_after=pause)
            self._reloading = asyncio.create_task(self._run_reload(beside=False))
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            async with asyncio.timeout(min(seconds, self._bound.wait_seconds)):
                is_loaded = await waiting
        except BaseException as error:
            if waiting.done() and not waiting.cancelled() and waiting.result():
                self.leave()  # it came at the very moment in which this was given up
            if isinstance(error, TimeoutError):
                raise self._not_yet() from None
            raise
        finally:
            self._waiting.discard(waiting)
        if not is_loaded and self.refusal:
            raise self._refused(retry_after=self._pause)
        return is_loaded

    async def load_beside(self) -> bool:
        """Does the same if there is room for it."""
        is_paused = self._paused_until > time.monotonic()
        if not self.is_loaded and self._reload is not None and self._reloading is None and not is_paused:
            self._reloading = asyncio.create_task(self._run_reload(beside=True))
        if not self.is_loaded and self._reloading is not None:
            await asyncio.shield(self._reloading)
        if self.is_loaded:
            self.enter()
        return self.is_loaded

    async def _run_reload(self, *, beside: bool) -> None:
        self.refusal = ""
        try:
            if self._reload is not None:
                await self._reload(self, beside)
        except asyncio.CancelledError:
            self.refusal = "the server is going down"
            raise
        except GatewayError as error:
            self.refusal = error.message
            if error.kind is not ErrorKind.NOT_READY:  # which is for want of room, and has waited for that
                self._start_pause()
        except Exception:
            logger.exception("%s could not be loaded again", self)
            self.refusal = "could not be loaded again; the server's log says why"
            self._start_pause()
        finally:
            self.progress = self._reloading = None
            self.settle()

    def _start_pause(self) -> None:
        self._pause = min(2 * self._pause, _LONGEST_PAUSE) or _FIRST_PAUSE
        self._paused_until = time.monotonic() + self._pause

    def settle(self) -> None:
        """Wakes those who wait for a reload; counts them as users if it is loaded now."""
        for waiting in self._waiting:
            if not waiting.done():
                if self.is_loaded:
                    self.enter()
                waiting.set_result(self.is_loaded)
        self._waiting = set()

    def close(self) -> None:
        """Cancels a reload."""
        if self._reloading is not None:
            self._reloading.cancel()

    def _refused(self, *, retry_after: float) -> GatewayError:
        """Returns the error for a request after a reload that failed."""
        text = f"{self} is not in memory, and {self.refusal}"
        return GatewayError(ErrorKind.NOT_READY, text, retry_after=retry_after)

    def _not_yet(self) -> GatewayError:
        """Returns the error for a request that cannot wait any longer."""
        progress = self.progress
        if progress is None:
            text = f"{self} is not in memory: it is loaded after those that others have asked for"
            return GatewayError(ErrorKind.NOT_READY, text)
        seconds = time.monotonic() - progress.began
        text = f"{self} is being loaded, as it was not in memory: {progress.stage}, {seconds:.1f} s so far"
        return GatewayError(ErrorKind.NOT_READY, text, retry_after=self.seconds - seconds)

    def __str__(self) -> str:
        return f"version {self.key[1]} of model {self.key[0]!r}"
