"""The memory of all loaded models: how much they may take, and which versions are evicted when there is no room.

The size of a version is estimated from its files, as it must be known before it is loaded. It counts until the model
has been freed. The version that was used least recently is evicted first.
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
"""Seconds after which an eviction counts as slow, as the version is in use: another version is evicted as well."""


class Memory:
    """The memory of all loaded versions. For the event loop's thread only.

    Args:
        bound: The bound; without one nothing is evicted.
        reload: Loads a version that is on standby.
        collect: Runs the garbage collector, and waits until it is done.
    """

    def __init__(
        self,
        bound: MemoryBound | None = None,
        *,
        reload: Callable[[Resident, bool], Awaitable[None]] | None = None,
        collect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._bound = bound
        self._reload = reload
        self._collect = collect
        self._residents: WeakSet[Resident] = WeakSet()
        self._taken: set[Taken] = set()
        self._changed = asyncio.Event()
        self._uses = count()

    def close(self) -> None:
        """Cancels all reloads."""
        for resident in self._residents:
            resident.close()

    @property
    def taken(self) -> int:
        """Bytes of all models that are loaded, are being loaded or have not been freed yet."""
        return sum(taken.size for taken in self._taken)

    def resident(self, key: Key, found: FoundVersion) -> Resident:
        """Returns the handle of a version that is not loaded yet."""
        resident = Resident(key, found, bound=self._bound, reload=self._reload, evicted=self._evicted, uses=self._uses)
        self._residents.add(resident)
        return resident

    def take(self, size: int) -> Taken:
        """Takes memory for a model that is about to be loaded, until it is given back."""
        taken = Taken(size, self._given_back)
        self._taken.add(taken)
        self._observe()
        return taken

    def reason_against(self, size: int) -> str:
        """Returns why a version of that size can never be loaded; empty if it can."""
        if self._bound is None or size <= self._bound.max_bytes:
            return ""
        most = self._bound.max_bytes
        return f"it takes about {size} bytes, and all versions together may take {most} (max_loaded_bytes)"

    def has_room(self, size: int) -> bool:
        """Returns whether so many bytes are free without an eviction."""
        return self._bound is None or self.taken + size <= self._bound.max_bytes

    async def make_room(self, size: int) -> None:
        """Evicts versions until so many bytes are free: idle ones first, then those in use, once they are idle.

        These become idle, as new requests for a version that is being evicted wait for a reload.

        Raises:
            GatewayError: NOT_READY when there is no room in time; then evictions that still wait are cancelled.
        """
        if self._bound is None:
            return
        slow: set[Taken] = set()
        try:
            async with asyncio.timeout(self._bound.wait_seconds):
                while not self.has_room(size):
                    self._changed.clear()
                    ending = {taken for taken in self._taken if taken.is_ending}
                    about_to_be_free = sum(taken.size for taken in ending - slow)
                    self._evict(self.taken + size - self._bound.max_bytes - about_to_be_free)
                    if self._collect is not None:
                        await self._collect()
                    if not self.has_room(size) and not await self._changes():
                        slow |= ending
        except TimeoutError:
            for resident in self._residents:
                resident.keep()
            text = (
                f"there is no room for it: what is loaded was in use for {self._bound.wait_seconds:g} s (max_load_wait)"
            )
            raise GatewayError(ErrorKind.NOT_READY, text) from None

    async def _changes(self) -> bool:
        """Returns whether any memory was given back within a moment."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _evict(self, missing: int) -> None:
        """Evicts as many versions as it takes to free so many bytes."""
        loaded = [resident for resident in self._residents if resident.is_loaded]
        for resident in sorted(loaded, key=lambda one: (one.is_used, one.last_use)):
            if missing <= 0:
                return
            missing -= resident.evict()

    def _evicted(self, resident: Resident) -> None:
        name, version = resident.key
        logger.info("version %d of model %s: STANDBY, it was evicted to make room", version, name)
        if self._bound is not None:
            self._bound.observer.evicted(name)

    def _given_back(self, taken: Taken) -> None:
        self._taken.discard(taken)
        self._changed.set()
        self._observe()

    def _observe(self) -> None:
        if self._bound is not None:
            self._bound.observer.taken(self.taken)
