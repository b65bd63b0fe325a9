"""The versions of one source that are served or have failed: loads them, and keeps their entries in the catalog."""

import logging
import time
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable, Iterable, Set
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import cast

from service.backends.savedmodel.folder import FoundVersion, Key
from service.backends.savedmodel.memory import Memory
from service.backends.savedmodel.resident import Held, Resident
from service.core.batch_policy import ServingOptions
from service.core.catalog import Catalog
from service.core.load_progress import LoadProgress
from service.core.model_version import ModelVersion, State
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loading:
    """How versions are loaded.

    Attributes:
        pool: Runs what would block the event loop.
        load: Loads a version, tries it out, and returns it as available, with a `Held` as its handle.
        reload: Loads a version that was loaded before and has not changed.
        memory: The memory of all versions.
    """

    pool: Executor
    load: Callable[[Resident, ServingOptions, LoadProgress], Awaitable[ModelVersion]]
    reload: Callable[[Resident, ServingOptions, LoadProgress], Awaitable[Held]]
    memory: Memory = field(default_factory=Memory)


class ServedVersions:
    """Loads versions, and records which are served and which have failed.

    Args:
        catalog: Receives the state of each version.
        loading: How versions are loaded.

    Attributes:
        catalog: May be replaced by one with the same entries.
        versions: The versions that are served.
        found: What was on disk of each of them when it was loaded, or first seen.
        failed: Versions that have failed, and what was on disk of each: they are not tried again before that changes.
        postponed: Versions that have failed for now, such as for want of room: they are tried again at the next look.
    """

    def __init__(self, catalog: Catalog, loading: Loading) -> None:
        self.catalog = catalog
        self.loading = loading
        self.versions: dict[Key, ModelVersion] = {}
        self.found: dict[Key, FoundVersion] = {}
        self.failed: dict[Key, FoundVersion] = {}
        self.postponed: set[Key] = set()

    @property
    def ended(self) -> Set[Key]:
        """All versions that have failed, for now or until their files change."""
        return self.failed.keys() | self.postponed

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops the entries of versions that have failed."""
        for key in keys:
            self.failed.pop(key, None)
            self.postponed.discard(key)
            self.catalog.drop(*key)

    def held(self) -> list[ModelVersion]:
        """Returns all versions that are served."""
        return list(self.versions.values())

    def suspend(self) -> None:
        """Notes in the catalog that no version can answer for now."""
        for version in self.versions.values():
            self.catalog.put(replace(version, state=State.LOADING, load_seconds=0.0, progress=LoadProgress()))

    def resume(self, version: ModelVersion) -> None:
        """Notes in the catalog that a version can answer again."""
        self.serve(version, self.found[version.name, version.version])

    def give_up(self, version: ModelVersion, error: str, *, as_it_is: bool) -> None:
        """Stops serving a version that has failed.

        Args:
            version: A version that is served.
            error: Why it failed.
            as_it_is: Whether it is tried again only once its files have changed, instead of at the next look.
        """
        key = (version.name, version.version)
        logger.error("version %d of model %s cannot be served any more: %s", version.version, version.name, error)
        del self.versions[key]
        found = self.found.pop(key)
        self._fail(key, found, error, for_now=not as_it_is)

    def serve(self, version: ModelVersion, found: FoundVersion) -> None:
        """Puts a version that can answer in the catalog."""
        key = (version.name, version.version)
        if isinstance(version.handle, Resident) and version.residence is not version.handle.residence:
            version = replace(version, residence=version.handle.residence)
        self.versions[key] = version
        self.found[key] = found
        self.catalog.put(version)

    def drop(self, key: Key, *, as_unloaded: bool) -> None:
        """Takes a version out of service; its model lives until its last request is answered.

        Args:
            key: Of the version.
            as_unloaded: Whether the catalog keeps an entry for it, which says that it was unloaded.
        """
        handle = self.versions.pop(key).handle
        del self.found[key]
        if isinstance(handle, Resident):
            handle.end()
        if as_unloaded:
            self.catalog.put(ModelVersion(*key, State.END))
        else:
            self.catalog.drop(*key)

    async def load(self, key: Key, found: FoundVersion, options: ServingOptions, *, is_urgent: bool) -> None:
        """Makes a version available, or records why it failed.

        Args:
            key: Of the version.
            found: What is on disk.
            options: How it is served.
            is_urgent: Whether other versions may be evicted for it; else it is put on standby if there is no room.
        """
        self.failed.pop(key, None)
        self.postponed.discard(key)
        if found.error:  # which the scan has logged
            self._fail(key, found, found.error)
            return
        memory = self.loading.memory
        if reason := memory.reason_against(found.memory_bytes):
            logger.error("version %d of model %s cannot be served: %s", key[1], key[0], reason)
            self._fail(key, found, reason)
            return
        resident = memory.resident(key, found)
        if not is_urgent and not memory.has_room(found.memory_bytes):
            standby = ModelVersion(*key, State.AVAILABLE, folder=found.folder, handle=resident, is_described=False)
            self.serve(standby, found)
            return
        progress = LoadProgress()
        self.catalog.put(ModelVersion(*key, State.LOADING, progress=progress))
        began = time.monotonic()
        try:
            version = await self.loading.load(resident, options, progress)
        except Exception as error:
            seconds = time.monotonic() - began
            self._fail(key, found, _reason(key, error), seconds=seconds, for_now=_is_passing(error))
            return
        self._admit(resident, version, cast("Held", version.handle), began)

    async def reload(
        self, key: Key, look: Callable[[], FoundVersion], options: ServingOptions, *, beside: bool
    ) -> bool:
        """Loads a version that is on standby; if its files have changed, it is tried out as a new one is.

        Args:
            key: Of the version.
            look: Returns what is on disk.
            options: How it is served.
            beside: Whether it is loaded only if no other version has to be evicted for it.

        Returns:
            Whether it can still be served.

        Raises:
            GatewayError: NOT_READY when there is no room, LOAD_FAILED when it could not be loaded although its files
                are as they were; it stays on standby.
        """
        entry = self.versions[key]
        resident = cast("Resident", entry.handle)
        resident.keep()  # the version that it was to be evicted for may have found room elsewhere
        if resident.is_loaded:
            return True
        found = await get_running_loop().run_in_executor(self.loading.pool, look)
        memory = self.loading.memory
        if beside and not memory.has_room(found.memory_bytes):
            return True
        resident.progress = progress = LoadProgress()
        began = time.monotonic()
        former = resident.found
        is_as_it_was = entry.is_described and found.files == former.files
        self.found[key] = resident.found = found
        try:
            if is_as_it_was:
                self._admit(resident, entry, await self.loading.reload(resident, options, progress), began)
                return True
            if reason := found.error or memory.reason_against(found.memory_bytes):
                raise GatewayError(ErrorKind.LOAD_FAILED, reason)
            version = await self.loading.load(resident, options, progress)
            self._admit(resident, version, cast("Held", version.handle), began)
        except BaseException as error:
            if is_as_it_was or not isinstance(error, Exception) or _is_passing(error):
                self.found[key] = resident.found = former  # or what has changed would be taken to be known
            if not isinstance(error, Exception) or _is_passing(error):
                raise
            reason = _reason(key, error, "could not be loaded again")
            if is_as_it_was:  # it could be loaded before, so what keeps it from that may pass
                raise GatewayError(ErrorKind.LOAD_FAILED, reason) from None
            self.give_up(entry, reason, as_it_is=True)
            return False
        finally:
            resident.progress = None
        return True

    def _admit(self, resident: Resident, version: ModelVersion, held: Held, began: float) -> None:
        """Serves a version that has been loaded, and wakes those who wait for it."""
        resident.put(held)
        resident.seconds = time.monotonic() - began
        self.serve(replace(version, handle=resident, load_seconds=resident.seconds), resident.found)
        resident.settle()

    def _fail(self, key: Key, found: FoundVersion, error: str, *, seconds: float = 0.0, for_now: bool = False) -> None:
        if for_now:
            self.postponed.add(key)
        else:
            self.failed[key] = found
        self.catalog.put(ModelVersion(*key, State.END, error=error, load_seconds=seconds))


def _is_passing(error: Exception) -> bool:
    """Returns whether there was just no room, so that the version itself may be fine."""
    return isinstance(error, GatewayError) and error.kind is ErrorKind.NOT_READY


def _reason(key: Key, error: Exception, what: str = "cannot be served") -> str:
    """Returns why a version could not be loaded, and logs it."""
    name, version = key
    if isinstance(error, GatewayError):
        logger.error("version %d of model %s %s: %s", version, name, what, error.message)
        return error.message
    logger.error("version %d of model %s %s", version, name, what, exc_info=error)
    return "it could not be loaded; the server's log says why"
