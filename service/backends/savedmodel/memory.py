"""The memory that models take: how much of it may be taken, and which versions leave it where there is none left.

A version's bytes are estimated from its files, as they have to be known before it is loaded. They count from before it
is loaded until its model has ended, whoever kept it. Versions leave in the order in which they were last asked for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count
from weakref import WeakSet

from service.backends.registry import MemoryBound
from service.backends.savedmodel.folder import FoundVersion, Key
from service.backends.savedmodel.resident import Resident, Taken
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Seconds: what has not left memory by then, as it is in use or still runs, is not waited for alone."""


class Memory:
    """What all loaded versions take. All of it is for the event loop's thread.

    Args:
        bound: Of it; without one versions leave memory only when they are dropped.
        bring: Loads a version that is on standby.
        collect: Waits until what nobody refers to any more has been freed, what refers to itself too.
    """

    def __init__(
        self,
        bound: MemoryBound | None = None,
        *,
        bring: Callable[[Resident, bool], Awaitable[None]] | None = None,
        collect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._bound = bound
        self._bring = bring
        self._collect = collect
        self._residents: WeakSet[Resident] = WeakSet()
        self._taken: set[Taken] = set()
        self._changed = asyncio.Event()
        self._uses = count()

    def close(self) -> None:
        """Gives up all loads."""
        for resident in self._residents:
            resident.close()

    @property
    def taken(self) -> int:
        """Bytes of all models that are there, are being loaded or have not ended yet."""
        return sum(taken.size for taken in self._taken)

    def resident(self, key: Key, found: FoundVersion) -> Resident:
        """Returns what stands for a version that is not loaded yet."""
        resident = Resident(key, found, bound=self._bound, bring=self._bring, left=self._left, uses=self._uses)
        self._residents.add(resident)
        return resident

    def take(self, size: int) -> Taken:
        """Counts the bytes of a model that is about to be loaded, until they are given back."""
        taken = Taken(size, self._given_back)
        self._taken.add(taken)
        self._observe()
        return taken

    def reason_against(self, size: int) -> str:
        """Returns why a version of that size can never be loaded; empty where it can."""
        if self._bound is None or size <= self._bound.max_bytes:
            return ""
        most = self._bound.max_bytes
        return f"it takes about {size} bytes, and all versions together may take {most} (max_loaded_bytes)"

    def has_room(self, size: int) -> bool:
        """Returns whether so many bytes are free, without any version having to leave."""
        return self._bound is None or self.taken + size <= self._bound.max_bytes

    async def make_room(self, size: int) -> None:
        """Has versions leave until so many bytes are free: idle ones first, then those in use, once they are idle.

        Requests that come for one that is to leave wait for it to be loaded again, so it does become idle.

        Raises:
            GatewayError: NOT_READY when there is no room in time; then nothing more has to leave.
        """
        if self._bound is None:
            return
        slow: set[Taken] = set()
        try:
            async with asyncio.timeout(self._bound.wait_seconds):
                while not self.has_room(size):
                    self._changed.clear()
                    leaving = {taken for taken in self._taken if taken.is_leaving}
                    about_to_be_free = sum(taken.size for taken in leaving - slow)
                    self._retire(self.taken + size - self._bound.max_bytes - about_to_be_free)
                    if self._collect is not None:
                        await self._collect()
                    if not self.has_room(size) and not await self._changes():
                        slow |= leaving
        except TimeoutError:
            for resident in self._residents:
                resident.stay()
            text = (
                f"there is no room for it: what is loaded was in use for {self._bound.wait_seconds:g} s (max_load_wait)"
            )
            raise GatewayError(ErrorKind.NOT_READY, text) from None

    async def _changes(self) -> bool:
        """Returns whether any bytes were given back within a moment."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _retire(self, missing: int) -> None:
        """Has as many versions leave as it takes for so many bytes."""
        loaded = [resident for resident in self._residents if resident.is_loaded]
        for resident in sorted(loaded, key=lambda one: (one.is_used, one.last_use)):
            if missing <= 0:
                return
            missing -= resident.retire()

    def _left(self, resident: Resident) -> None:
        name, version = resident.key
        logger.info("version %d of model %s: STANDBY, it has left memory to make room", version, name)
        if self._bound is not None:
            self._bound.observer.evicted(name)

    def _given_back(self, taken: Taken) -> None:
        self._taken.discard(taken)
        self._changed.set()
        self._observe()

    def _observe(self) -> None:
        if self._bound is not None:
            self._bound.observer.taken(self.taken)
