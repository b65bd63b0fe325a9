"""The store of a server: a thread of its own polls it, and the catalog says what is pulled."""

import asyncio
import logging
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

from service.app.settings import Settings
from service.core.catalog import Catalog
from service.core.load_progress import LoadProgress
from service.core.model_version import ModelVersion, State
from service.core.ports import Backend, FollowingBackend
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError
from service.stores.cache import Cache
from service.stores.mirror import Mirror
from service.stores.port import Key
from service.stores.transfer import Stopped
from service.stores.urls import open_store
from service.telemetry.stores import StoreMetrics

logger = logging.getLogger(__name__)

_STOP_SECONDS = 5.0
"""Time that a transfer has to notice that it is cancelled."""
_DONE = "pulled from its store"


class FollowedStore:
    """Has a mirror fill the folder that the backend serves, and has the backend look when a version has come.

    While a version is pulled, its entry in the catalog is START, with the progress; one that could not be pulled is
    END. An entry of the backend's is left as it is.

    Args:
        url: The URL of the store.
        settings: Say where its models are kept, and which of them are wanted.
        catalog: Receives entries for versions that are being pulled.
        backend: Serves the folder.
        metrics: Count what is pulled.

    Attributes:
        url: The URL of the store.

    Raises:
        GatewayError: When a package is missing, or the folder cannot be used or belongs to another store.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        catalog: Catalog,
        backend: Backend,
        metrics: StoreMetrics,
    ) -> None:
        self.url = url
        try:
            self._cache = Cache(settings.models_folder, url, settings.models_cache_max_bytes)
        except OSError as error:
            text = f"models_cache {settings.models_folder}: {error.strerror}"
            raise GatewayError(ErrorKind.FAILED_PRECONDITION, text) from None
        self._catalog = catalog
        self._backend = backend
        self._metrics = metrics
        metrics.kept(self._cache.used())
        self._is_cold = not self._cache.current()
        self._stop = Event()
        policy = VersionPolicy.parse(settings.version_policy)
        self._mirror = Mirror(open_store(url), self._cache, policy, self, stop=self._stop)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._entries: dict[Key, ModelVersion] = {}  # those of the catalog that were made here
        self._looking = asyncio.Lock()
        self._looked = asyncio.Event()
        self._started = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._available: frozenset[Key] = frozenset()
        self._failed: frozenset[Key] = frozenset()

    async def before_start(self) -> None:
        """Waits for the first look where there is nothing to serve without it."""
        if self._is_cold:
            await self._looked.wait()

    def backend_started(self) -> None:
        """Notes that the backend has started, and so may be told to look."""
        self._started.set()

    async def follow(self, seconds: float) -> None:
        """Polls the store at this interval, or looks once for 0; has the backend look when a version has come."""
        while True:
            changed = await self._look(again=False)
            await self._started.wait()
            if changed:
                await self._load()
            if not seconds:
                return
            await asyncio.sleep(seconds)

    async def look(self) -> None:
        """Looks at once; retries pulls that failed, and reports again what is wrong."""
        if await self._look(again=True):
            await self._load()

    async def close(self) -> None:
        """Cancels the transfer that is under way, and frees the folder for others; never waits for long."""
        self._stop.set()
        try:
            # Not by a thread of the loop's own: the loop would wait for it at its end, however long that takes.
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.get_running_loop().run_in_executor(self._thread, _nothing)
        except TimeoutError:
            logger.warning("a transfer from %s is stuck; it ends with the process", self.url)
        else:
            self._cache.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _look(self, *, again: bool) -> bool:
        async with self._looking:
            self._loop = asyncio.get_running_loop()
            entries = [entry for name in self._catalog.names() for entry in self._catalog.versions(name)]
            self._available = frozenset(_key(entry) for entry in entries if entry.state is State.AVAILABLE)
            self._failed = frozenset(_key(entry) for entry in entries if entry.error and not self._is_mine(_key(entry)))
            try:
                return await self._loop.run_in_executor(self._thread, self._look_now, again)
            except Stopped:
                return False
            except Exception:
                logger.exception("%s could not be followed; it is looked at again", self.url)
                return False
            finally:
                self._looked.set()

    def _look_now(self, again: bool) -> bool:
        try:
            return self._mirror.look(again=again)
        finally:
            self._metrics.kept(self._cache.used())

    async def _load(self) -> None:
        """Has the backend load what has come, and drops the entries of versions that it does not want."""
        try:
            if isinstance(self._backend, FollowingBackend):
                await self._backend.look()
        except Exception:
            logger.exception("what came from %s could not be loaded; it is tried again", self.url)
        for key, entry in list(self._entries.items()):
            if entry.state is State.START and entry.progress is not None and entry.progress.stage == _DONE:
                self._drop(key)

    # The mirror calls these on its thread.

    def listed(self, ok: bool) -> None:
        """The store was looked at, or could not be."""
        self._metrics.listed(ok=ok)

    def pulled(self, count: int) -> None:
        """So many bytes have come."""
        self._metrics.pulled(count)

    def begins(self, key: Key, progress: LoadProgress) -> None:
        """A version is being pulled."""
        self._tell(key, ModelVersion(*key, State.START, progress=progress))

    def ends(self, key: Key, error: str) -> None:
        """A version is in the cache now, or why it is not."""
        self._metrics.ended(ok=not error)
        if error:
            self._tell(key, ModelVersion(*key, State.END, error=error))
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._finish, key)

    def gone(self, key: Key) -> None:
        """A version is not in the store any more."""
        self._tell(key, None)

    def served(self) -> Set[Key]:
        """Returns the versions that were available when the look began."""
        return self._available

    def refused(self) -> Set[Key]:
        """Returns the versions that could not be loaded."""
        return self._failed

    def _tell(self, key: Key, entry: ModelVersion | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._drop if entry is None else partial(self._put, entry), key)

    def _put(self, entry: ModelVersion, key: Key) -> None:
        """Puts the entry of a version in the catalog, unless the backend has one for it."""
        if not self._catalog.has(*key) or self._is_mine(key):
            self._entries[key] = entry
            self._catalog.put(entry)

    def _finish(self, key: Key) -> None:
        """Has the entry of a version say that it was pulled."""
        entry = self._entries.get(key)
        if entry is not None and entry.progress is not None:
            entry.progress.enter(_DONE)

    def _drop(self, key: Key) -> None:
        if self._is_mine(key):
            self._catalog.drop(*key)
        self._entries.pop(key, None)

    def _is_mine(self, key: Key) -> bool:
        """Returns whether the catalog's entry of a version was made here."""
        entry = self._entries.get(key)
        return key[0] in self._catalog and any(one is entry for one in self._catalog.versions(key[0]))


def _nothing() -> None:
    """Done by a thread once it has done all else."""


def _key(entry: ModelVersion) -> Key:
    return entry.name, entry.version
