"""What the replicas serve together: which versions there are, and what each of them takes and gives."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from service.backends.reasons import shortened
from service.backends.tfserving.replica import Key, Replica, VersionStatus
from service.core.catalog import Catalog
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.replicas import ReplicaState
from service.errors import GatewayError, OutdatedVersionError

logger = logging.getLogger(__name__)

_REMEMBERED_SECONDS = 3.0
"""For so long an ejected replica is taken to have what it had: it may be back at once."""
_ROLLOUT_SECONDS = 30.0
"""For so long a new version waits for those replicas that do not have it yet."""
_CONCURRENCY = 4
"""Versions that are described at a time: that takes their replica's threads."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a version that could not be described is tried again; twice as many each time."""
_BY_LIFE = (State.AVAILABLE, State.LOADING, State.START, State.UNLOADING, State.END)
_NO_REPLICA = "no replica that serves it answers"


class ReplicaCatalog:
    """Keeps a catalog in step with what the replicas report.

    Args:
        replicas: Returns all that there are.
        describe: Returns an available version with its signatures, by asking a replica.
    """

    def __init__(
        self, *, replicas: Callable[[], Iterable[Replica]], describe: Callable[[Key], Awaitable[ModelVersion]]
    ) -> None:
        self.catalog = Catalog()
        self._replicas = replicas
        self._describe = describe
        self._described: dict[Key, ModelVersion] = {}
        self._describing: dict[Key, asyncio.Task[None]] = {}
        self._semaphore = asyncio.Semaphore(_CONCURRENCY)
        self._stale: set[Key] = set()
        self._failed: dict[Key, _Failed] = {}
        self._first_seen: dict[Key, float] = {}

    def update(self) -> None:
        """Brings the catalog in step with the replicas' reports; new versions are described before they are served."""
        statuses = self._statuses()
        available = {key for key, status in statuses.items() if status.state is State.AVAILABLE}
        now = time.monotonic()
        for key in available - self._describing.keys():
            failed = self._failed.get(key)
            if key in self._stale or (key not in self._described and (failed is None or failed.retry_at <= now)):
                self._describing[key] = asyncio.create_task(self._learn(key))
        for gone in (self._described.keys() - available, self._failed.keys() - available):
            for key in gone:
                self._described.pop(key, None)
                self._failed.pop(key, None)
        self._enter(self.entries(statuses))

    def invalidate(self, replica: Replica) -> None:
        """Has everything that a recovered replica serves described again: it may have come back with other models."""
        self._stale |= {key for key in self._described if replica.serves(key)}

    async def settled(self) -> None:
        """Waits until all that is available is described, or could not be."""
        while self._describing:
            await asyncio.gather(*self._describing.values())

    def entries(self, statuses: Mapping[Key, VersionStatus] | None = None) -> dict[Key, ModelVersion]:
        """Returns what the catalog is to hold."""
        statuses = self._statuses() if statuses is None else statuses
        alive = {name for (name, _), status in statuses.items() if status.state is not State.END or status.error}
        entries = {}
        for key, status in statuses.items():
            if status.state is State.END and not status.error and key[0] in alive:
                continue  # it was replaced by another one
            entries[key] = self._entry(key, status)
        return entries | self._kept(entries, statuses)

    def close(self) -> None:
        """Stops describing."""
        for task in self._describing.values():
            task.cancel()

    def _entry(self, key: Key, status: VersionStatus) -> ModelVersion:
        if status.state is not State.AVAILABLE:
            return ModelVersion(*key, status.state, error=status.error)
        if key in self._described and not self._awaits_newer(key):
            return self._described[key]
        if key in self._failed:
            return ModelVersion(*key, State.END, error=self._failed[key].reason)
        return ModelVersion(*key, State.LOADING)

    def _kept(
        self, entries: Mapping[Key, ModelVersion], statuses: Mapping[Key, VersionStatus]
    ) -> dict[Key, ModelVersion]:
        """Returns the versions that have left and stay in the catalog until what replaces them is described.

        A request for one of them waits until then, and is resolved anew; without them it would be refused.
        """
        coming = {
            key[0]
            for key, status in statuses.items()
            if status.state is State.AVAILABLE and key not in self._described and key not in self._failed
        }
        if any(replica.outdated for replica in self._replicas() if replica.state is ReplicaState.SERVING):
            coming.update(self.catalog.names())
        coming -= {key[0] for key, entry in entries.items() if entry.state is State.AVAILABLE}
        newest = (self.catalog.find(ModelRef(name)) for name in coming if name in self.catalog)
        return {(entry.name, entry.version): entry for entry in newest if entry.state is State.AVAILABLE}

    def _awaits_newer(self, key: Key) -> bool:
        """Returns whether a newer version is about to be described for the first time, and none has been served yet."""
        name, version = key
        newer = (other for other in self._describing if other[0] == name and other[1] > version)
        return any(other not in self._described for other in newer) and not self.catalog.is_available(name)

    def _enter(self, entries: Mapping[Key, ModelVersion]) -> None:
        before = {
            (entry.name, entry.version): entry for name in self.catalog.names() for entry in self.catalog.versions(name)
        }
        for key in sorted(entries, reverse=True):  # the newest first: it is the one that answers
            self._put(entries[key])
        for key in before.keys() - entries.keys():
            self._drop(key, before[key])

    def _put(self, entry: ModelVersion) -> None:
        known = self.catalog.has(entry.name, entry.version)
        before = self.catalog.find(ModelRef(entry.name, entry.version)) if known else None
        # Two entries may be equal and yet stand for different models, loaded one after the other.
        if before is None or before != entry or before.handle is not entry.handle:
            self.catalog.put(entry)

    def _drop(self, key: Key, entry: ModelVersion) -> None:
        if any(replica.state is ReplicaState.SERVING for replica in self._replicas()):
            self.catalog.drop(*key)
        elif entry.error != _NO_REPLICA:
            self.catalog.put(ModelVersion(*key, State.START, error=_NO_REPLICA))

    async def _learn(self, key: Key) -> None:
        self._stale.discard(key)
        try:
            async with self._semaphore:
                found = await self._describe(key)
        except OutdatedVersionError:
            pass  # it left meanwhile: its replica knows, and is asked again
        except Exception as error:
            self._record_failure(key, error)
        else:
            before = self._described.get(key)
            if before is None or before != found:  # what is the same as before stays the same one
                self._described[key] = found
            self._failed.pop(key, None)
        finally:
            del self._describing[key]
        self._enter(self.entries())

    def _record_failure(self, key: Key, error: Exception) -> None:
        if key in self._described:
            return  # it was known before, and could not be described again: what was known holds until more is
        reason = error.message if isinstance(error, GatewayError) else shortened(f"{type(error).__name__}: {error}")
        before = self._failed.get(key)
        if before is None or before.reason != reason:
            logger.error("version %d of model %s cannot be served: %s", key[1], key[0], reason)
        pause = _FIRST_PAUSE if before is None else min(2 * before.pause, _LONGEST_PAUSE)
        self._failed[key] = _Failed(reason, pause, time.monotonic() + pause)

    def _statuses(self) -> dict[Key, VersionStatus]:
        """Returns the state of each version, of all replicas together."""
        statuses: dict[Key, VersionStatus] = {}
        counts: dict[Key, int] = {}
        for replica in self._replicas():
            if not _counts(replica):
                continue
            for key, status in replica.versions.items():
                counts[key] = counts.get(key, 0) + replica.serves(key)
                known = statuses.get(key)
                if known is None or _BY_LIFE.index(status.state) < _BY_LIFE.index(known.state):
                    statuses[key] = status
        now = time.monotonic()
        self._first_seen = {key: self._first_seen.get(key, now) for key, count in counts.items() if count}
        new = {key for key in counts if now - self._first_seen.get(key, now) < _ROLLOUT_SECONDS}
        for key in _too_early(counts, new):
            statuses[key] = VersionStatus(State.LOADING)
        return statuses


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why a version could not be described, and when that is tried again.

    Attributes:
        pause: Seconds between the last two tries.
        retry_at: When, by the monotonic clock.
    """

    reason: str
    pause: float
    retry_at: float


def _too_early(counts: Mapping[Key, int], new: Set[Key]) -> list[Key]:
    """Returns the new versions that most replicas still lack: the few that have one are not to get all requests."""
    early = []
    most: dict[str, int] = {}
    for name, version in sorted(counts):
        count = counts[name, version]
        if 0 < count < most.get(name, 0) and (name, version) in new:
            early.append((name, version))
        most[name] = max(most.get(name, 0), count)
    return early


def _counts(replica: Replica) -> bool:
    if replica.state is ReplicaState.EJECTED:
        return replica.unreachable_seconds() < _REMEMBERED_SECONDS
    return replica.state is ReplicaState.SERVING
