"""One version as it is in memory, or on standby: its model while that is there, who uses it, and who waits for it."""

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


class Taken:
    """The bytes of one model, from before it is loaded until it has ended.

    Args:
        size: How many.
        given_back: Called once on the event loop's thread when they are free.

    Attributes:
        size: How many.
        is_leaving: Whether they will be free without anything else being done.
    """

    __slots__ = ("_given_back", "_loop", "is_leaving", "size")

    def __init__(self, size: int, given_back: Callable[["Taken"], None]) -> None:
        self.size = size
        self.is_leaving = False
        self._given_back = given_back
        self._loop = asyncio.get_running_loop()

    def give_back(self) -> None:
        """Has them counted no more; may be called on any thread, and again."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._given_back, self)


@dataclass(frozen=True, slots=True)
class Held:
    """A model that has been loaded, and the bytes that it takes."""

    model: Model
    taken: Taken


class Resident:
    """The handle of a version; its residence where memory is bounded. All of it is for the event loop's thread.

    Args:
        key: Name and version.
        found: What was on disk when it was loaded, or seen first.
        bound: Of all memory; without one it never leaves while it is served.
        bring: Loads it; where it is told so only beside all that is loaded.
        left: Is told when it has left memory to make room.
        uses: Counts the uses of all versions.

    Attributes:
        key: Name and version.
        found: What was on disk when it was loaded, or seen first.
        last_use: When it was last used, in uses of any version.
        progress: How far it is, while it is loaded once more.
        refusal: Why it could not be loaded just now, where it is as good as it was; else empty.
        seconds: How long it took to load it the last time.
    """

    def __init__(
        self,
        key: Key,
        found: FoundVersion,
        *,
        bound: MemoryBound | None,
        bring: Callable[["Resident", bool], Awaitable[None]] | None,
        left: Callable[["Resident"], None],
        uses: Iterator[int],
    ) -> None:
        self.key = key
        self.found = found
        self._bound = bound
        self._bring = bring
        self._left = left
        self._uses = uses
        self._held: Held | None = None
        self._is_leaving = False
        self._users = 0
        self._waiting: set[asyncio.Future[bool]] = set()
        self._loading: asyncio.Task[None] | None = None
        self.last_use = next(uses)
        self.progress: LoadProgress | None = None
        self.refusal = ""
        self.seconds = 0.0

    @property
    def residence(self) -> "Resident | None":
        """Itself where it may leave memory while it is served."""
        return None if self._bound is None else self

    @property
    def model(self) -> Model | None:
        """The model, while it is in memory; that of a version which is used always is."""
        return None if self._held is None else self._held.model

    @property
    def is_loaded(self) -> bool:
        """Whether requests that come now find it in memory."""
        return self._held is not None and not self._is_leaving

    @property
    def is_used(self) -> bool:
        """Whether it cannot leave at once."""
        return self._users > 0

    def enter(self) -> None:
        """Counts one more that uses it."""
        self._users += 1
        self.last_use = next(self._uses)

    def leave(self) -> None:
        """Counts one less."""
        self._users -= 1
        if not self._users and self._is_leaving:
            self._let_go()

    def put(self, held: Held) -> None:
        """Keeps its model."""
        self._held = held
        self._is_leaving = False
        self.last_use = next(self._uses)

    def retire(self) -> int:
        """Has the model leave as soon as nobody uses it; returns the bytes that this will free."""
        if self._held is None or self._held.taken.is_leaving:
            return 0
        self._held.taken.is_leaving = True
        size = self._held.taken.size
        self._is_leaving = True
        if not self._users:
            self._let_go()
        return size

    def _let_go(self) -> None:
        self._held = None
        self._is_leaving = False
        self._left(self)

    def end(self) -> None:
        """Takes note that the version is dropped: its memory is free once its last request is answered."""
        if self._held is not None:
            self._held.taken.is_leaving = True

    def stay(self) -> None:
        """Has it stay where it was to leave and has not yet."""
        if self._is_leaving and self._held is not None:
            self._is_leaving = self._held.taken.is_leaving = False

    async def load(self, seconds: float) -> bool:
        """Waits until it is in memory, and then counts one more that uses it, or until that has failed."""
        if self._bound is None or self._bring is None:
            return self._held is not None
        if len(self._waiting) >= self._bound.most_waiting:
            text = f"{len(self._waiting)} requests wait for {self} to be loaded, as many as may (max_queue_size)"
            raise GatewayError(ErrorKind.OVERLOADED, text)
        if self._loading is None:
            self._loading = asyncio.create_task(self._brought(beside=False))
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
            raise GatewayError(ErrorKind.NOT_READY, f"{self} is not in memory, and {self.refusal}")
        return is_loaded

    async def load_beside(self) -> bool:
        """Does the same where there is room for it."""
        if not self.is_loaded and self._bring is not None and self._loading is None:
            self._loading = asyncio.create_task(self._brought(beside=True))
        if not self.is_loaded and self._loading is not None:
            await asyncio.shield(self._loading)
        if self.is_loaded:
            self.enter()
        return self.is_loaded

    async def _brought(self, *, beside: bool) -> None:
        self.refusal = ""
        try:
            if self._bring is not None:
                await self._bring(self, beside)
        except asyncio.CancelledError:
            self.refusal = "the server is going down"
            raise
        except GatewayError as error:
            self.refusal = error.message
        except Exception:
            logger.exception("%s could not be loaded again", self)
            self.refusal = "could not be loaded again; the server's log says why"
        finally:
            self.progress = self._loading = None
            self.settle()

    def settle(self) -> None:
        """Tells those that wait for it whether it is in memory, and counts them as its users where it is."""
        for waiting in self._waiting:
            if not waiting.done():
                if self.is_loaded:
                    self.enter()
                waiting.set_result(self.is_loaded)
        self._waiting = set()

    def close(self) -> None:
        """Gives up what loads it."""
        if self._loading is not None:
            self._loading.cancel()

    def _not_yet(self) -> GatewayError:
        """Returns the error of a request that cannot wait any longer."""
        progress = self.progress
        if progress is None:
            text = f"{self} is not in memory: it is loaded after those that others have asked for"
            return GatewayError(ErrorKind.NOT_READY, text)
        seconds = time.monotonic() - progress.began
        text = f"{self} is being loaded, as it was not in memory: {progress.stage}, {seconds:.1f} s so far"
        return GatewayError(ErrorKind.NOT_READY, text, retry_after=self.seconds - seconds)

    def __str__(self) -> str:
        return f"version {self.key[1]} of model {self.key[0]!r}"
