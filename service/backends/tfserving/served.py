"""What the replicas serve together: which versions there are, and what each of them takes and gives."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from service.backends.tfserving.replica import Key, Replica, VersionStatus
from service.core.catalog import Catalog, ModelVersion, State
from service.core.replicas import ReplicaState

logger = logging.getLogger(__name__)

_REMEMBERED_SECONDS = 3.0
"""For so long a replica that was left out is taken to have what it had: it may be back at once."""
_TOGETHER_SECONDS = 30.0
"""For so long a new version waits for those replicas that do not have it yet."""
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
        self._troubles: dict[Key, str] = {}
        self._first_seen: dict[Key, float] = {}

    def follow(self) -> None:
        """Brings the catalog up to date, as far as the replicas have told; what is new is described first."""
        statuses = self._statuses()
        for key, status in statuses.items():
            if status.state is State.AVAILABLE and key not in self._described and key not in self._describing:
                self._describing[key] = asyncio.create_task(self._learn(key))
        for key in self._described.keys() - {
            key for key, status in statuses.items() if status.state is State.AVAILABLE
        }:
            del self._described[key]
        self._enter(self.entries(statuses))

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
        if key in self._described:
            return self._described[key]
        if key in self._troubles:
            return ModelVersion(*key, State.END, error=self._troubles[key])
        return ModelVersion(*key, State.LOADING)

    def _enter(self, entries: Mapping[Key, ModelVersion]) -> None:
        before = {
            (entry.name, entry.version): entry for name in self.catalog.names() for entry in self.catalog.versions(name)
        }
        for key, entry in entries.items():
            # Two entries may be equal and yet stand for different models, loaded one after the other.
            if before.get(key) != entry or before[key].handle is not entry.handle:
                self.catalog.put(entry)
        for key in before.keys() - entries.keys():
            self._leave(key, before[key])

    def _leave(self, key: Key, entry: ModelVersion) -> None:
        if any(replica.state is ReplicaState.SERVING for replica in self._replicas()):
            self.catalog.drop(*key)
        elif entry.error != _NOBODY:
            self.catalog.put(ModelVersion(*key, State.START, error=_NOBODY))

    async def _learn(self, key: Key) -> None:
        try:
            self._described[key] = await self._describe(key)
            self._troubles.pop(key, None)
        except Exception as error:
            reason = f"what it takes and gives cannot be found out: {error}"
            if self._troubles.get(key) != reason:
                logger.error("version %d of model %s cannot be served: %s", key[1], key[0], reason)
            self._troubles[key] = reason
        finally:
            del self._describing[key]
        self._enter(self.entries())

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
        for key in [key for key in self._first_seen if self._comes_too_early(key, counts, now)]:
            statuses[key] = VersionStatus(State.LOADING)
        return statuses

    def _comes_too_early(self, key: Key, counts: Mapping[Key, int], now: float) -> bool:
        """Tells whether most replicas still lack a new version: the few that have it are not to get all requests."""
        older = [counts[other] for other in counts if other[0] == key[0] and other[1] < key[1]]
        return max(older, default=0) > counts[key] and now - self._first_seen[key] < _TOGETHER_SECONDS


def _counts(replica: Replica) -> bool:
    if replica.state is ReplicaState.EJECTED:
        return replica.out_seconds() < _REMEMBERED_SECONDS
    return replica.state is ReplicaState.SERVING
