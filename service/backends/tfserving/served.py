"""What the replicas serve together: which versions there are, and what each of them takes and gives."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Set
from dataclasses import dataclass

from service.backends.reasons import shortened
from service.backends.tfserving.replica import Key, Replica, VersionStatus
from service.core.catalog import Catalog, ModelRef, ModelVersion, State
from service.core.replicas import ReplicaState
from service.errors import GatewayError

logger = logging.getLogger(__name__)

_REMEMBERED_SECONDS = 3.0
"""For so long a replica that was left out is taken to have what it had: it may be back at once."""
_TOGETHER_SECONDS = 30.0
"""For so long a new version waits for those replicas that do not have it yet."""
_AT_A_TIME = 4
"""Versions that are described at a time: that takes their replica's threads."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a version that could not be described is looked at again; twice as many each time."""
_BY_LIFE = (State.AVAILABLE, State.LOADING, State.START, State.UNLOADING, State.END)
_NOBODY = "no replica that serves it answers"


class ServedVersions:
    """Keeps a catalog in step with what the replicas say.

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
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._doubted: set[Key] = set()
        self._troubles: dict[Key, _Trouble] = {}
        self._first_seen: dict[Key, float] = {}

    def follow(self) -> None:
        """Brings the catalog up to date, as far as the replicas have told; what is new is described first."""
        statuses = self._statuses()
        available = {key for key, status in statuses.items() if status.state is State.AVAILABLE}
        now = time.monotonic()
        for key in available - self._describing.keys():
            trouble = self._troubles.get(key)
            if key in self._doubted or (key not in self._described and (trouble is None or trouble.again <= now)):
                self._describing[key] = asyncio.create_task(self._learn(key))
        for gone in (self._described.keys() - available, self._troubles.keys() - available):
            for key in gone:
                self._described.pop(key, None)
                self._troubles.pop(key, None)
        self._enter(self.entries(statuses))

    def doubt(self, replica: Replica) -> None:
        """Has everything described anew that a replica serves which was away: it may come back with other models."""
        self._doubted |= {key for key in self._described if replica.serves(key)}

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
        return entries

    def close(self) -> None:
        """Stops describing."""
        for task in self._describing.values():
            task.cancel()

    def _entry(self, key: Key, status: VersionStatus) -> ModelVersion:
        if status.state is not State.AVAILABLE:
            return ModelVersion(*key, status.state, error=status.error)
        if key in self._described and not self._awaits_newer(key):
            return self._described[key]
        if key in self._troubles:
            return ModelVersion(*key, State.END, error=self._troubles[key].reason)
        return ModelVersion(*key, State.LOADING)

    def _awaits_newer(self, key: Key) -> bool:
        """Tells whether a newer version is about to be described for the first time, before anybody was served any."""
        name, version = key
        newer = (other for other in self._describing if other[0] == name and other[1] > version)
        return any(other not in self._described for other in newer) and not self.catalog.is_available(name)

    def _enter(self, entries: Mapping[Key, ModelVersion]) -> None:
        before = {
            (entry.name, entry.version): entry for name in self.catalog.names() for entry in self.catalog.versions(name)
        }
        for entry in entries.values():
            self._put(entry)
        for key in before.keys() - entries.keys():
            self._leave(key, before[key])

    def _put(self, entry: ModelVersion) -> None:
        known = self.catalog.has(entry.name, entry.version)
        before = self.catalog.find(ModelRef(entry.name, entry.version)) if known else None
        # Two entries may be equal and yet stand for different models, loaded one after the other.
        if before is None or before != entry or before.handle is not entry.handle:
            self.catalog.put(entry)

    def _leave(self, key: Key, entry: ModelVersion) -> None:
        if any(replica.state is ReplicaState.SERVING for replica in self._replicas()):
            self.catalog.drop(*key)
        elif entry.error != _NOBODY:
            self.catalog.put(ModelVersion(*key, State.START, error=_NOBODY))

    async def _learn(self, key: Key) -> None:
        self._doubted.discard(key)
        try:
            async with self._places:
                found = await self._describe(key)
        except Exception as error:
            self._noted(key, error)
        else:
            before = self._described.get(key)
            if before is None or before != found:  # what is the same as before stays the same one
                self._described[key] = found
            self._troubles.pop(key, None)
        finally:
            del self._describing[key]
        entries = self.entries()
        for other in sorted(entries, reverse=True):  # the newest first: it is the one that answers
            if other[0] == key[0]:
                self._put(entries[other])

    def _noted(self, key: Key, error: Exception) -> None:
        if key in self._described:
            return  # it was looked at anew, and could not be: what was known holds until more is
        reason = error.message if isinstance(error, GatewayError) else shortened(f"{type(error).__name__}: {error}")
        before = self._troubles.get(key)
        if before is None or before.reason != reason:
            logger.error("version %d of model %s cannot be served: %s", key[1], key[0], reason)
        pause = _FIRST_PAUSE if before is None else min(2 * before.pause, _LONGEST_PAUSE)
        self._troubles[key] = _Trouble(reason, pause, time.monotonic() + pause)

    def _statuses(self) -> dict[Key, VersionStatus]:
        """Returns the state of each version, of all replicas together."""
        told = [replica for replica in self._replicas() if _counts(replica)]
        statuses: dict[Key, VersionStatus] = {}
        counts: dict[Key, int] = {}
        for replica in told:
            for key, status in replica.versions.items():
                counts[key] = counts.get(key, 0) + replica.serves(key)
                known = statuses.get(key)
                if known is None or _BY_LIFE.index(status.state) < _BY_LIFE.index(known.state):
                    statuses[key] = status
        now = time.monotonic()
        self._first_seen = {key: self._first_seen.get(key, now) for key, count in counts.items() if count}
        for key in _too_early(
            counts, {key for key in counts if now - self._first_seen.get(key, now) < _TOGETHER_SECONDS}
        ):
            statuses[key] = VersionStatus(State.LOADING)
        return statuses


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a version could not be described, and when that is tried again.

    Attributes:
        pause: Seconds between the last two tries.
        again: When, by the monotonic clock.
    """

    reason: str
    pause: float
    again: float


def _too_early(counts: Mapping[Key, int], young: Set[Key]) -> list[Key]:
    """Returns the new versions that most replicas still lack: the few that have one are not to get all requests."""
    early = []
    most: dict[str, int] = {}
    for name, version in sorted(counts):
        count = counts[name, version]
        if 0 < count < most.get(name, 0) and (name, version) in young:
            early.append((name, version))
        most[name] = max(most.get(name, 0), count)
    return early


def _counts(replica: Replica) -> bool:
    if replica.state is ReplicaState.EJECTED:
        return replica.out_seconds() < _REMEMBERED_SECONDS
    return replica.state is ReplicaState.SERVING
