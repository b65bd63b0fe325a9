"""The mirror: pulls the versions that are to be served from a store into a cache, and removes those that are gone."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from service.codecs.model_config import NOT_A_NAME, is_model_name
from service.core.load_progress import LoadProgress
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError, listed, shown
from service.stores.cache import Cache
from service.stores.port import MODEL_FILES, Key, Store, StoredVersion, failed
from service.stores.transfer import Transfer

logger = logging.getLogger(__name__)

_SETTLING_SECONDS = 10.0
"""Time that a version must stay unchanged before it counts as complete, where nothing else shows that it is."""
_AGAIN_SECONDS, _MOST_SECONDS = 60.0, 3600.0
"""Time after which a pull is retried that failed for what the store has; doubled each time."""


class Observer(Protocol):
    """Is notified of what a mirror does, on the mirror's thread."""

    def listed(self, ok: bool) -> None:
        """The store was listed, or could not be."""

    def pulled(self, count: int) -> None:
        """So many bytes were received."""

    def begins(self, key: Key, progress: LoadProgress) -> None:
        """A pull of a version begins; the progress is updated while it goes on."""

    def ends(self, key: Key, error: str) -> None:
        """A version is in the cache now, or why it is not: for each failed pull, else only when the reason changes."""

    def gone(self, key: Key) -> None:
        """A version is not in the store any more."""

    def served(self) -> Set[Key]:
        """Returns the versions that are served, and so must not be removed to make room."""

    def refused(self) -> Set[Key]:
        """Returns the versions in the cache that could not be loaded: others may be wanted in their place."""


@dataclass(slots=True)
class _Failure:
    """A version whose pull failed for what the store has.

    Attributes:
        mark: The mark of the version then.
        count: Number of failures in a row.
        until: When the pull is retried, by the monotonic clock.
    """

    mark: str
    count: int
    until: float


class Mirror:
    """Keeps a cache in step with a store. Its methods block, and are called by one thread at a time.

    What the version policy chooses is pulled, and published whole or not at all. A version is removed from the cache
    when room is needed and nothing wants it, or when the store no longer has it. The latter counts only if the store
    could be listed, was not empty, has a version of the model if it names the model, and all that is wanted of the
    model is in the cache. So no failure of a store takes anything out of service.

    Args:
        store: Versions are pulled from it.
        cache: They are pulled into it.
        policy: Says which of them are wanted.
        observer: Is notified of what happens.
        stop: Once set, the transfer that is under way is cancelled.
        only: Names of the models to pull; all by default.
    """

    def __init__(
        self,
        store: Store,
        cache: Cache,
        policy: VersionPolicy,
        observer: Observer,
        *,
        stop: Event,
        only: Collection[str] = (),
    ) -> None:
        self._store = store
        self._cache = cache
        self._policy = policy
        self._observer = observer
        self._only = only
        self._transfer = Transfer(store, stop, observer.pulled)
        self._stop = stop
        self._wanted: Set[Key] = frozenset()
        self._seen: dict[Key, tuple[str, float]] = {}  # its mark, and since when it has that
        self._told: dict[Key, str] = {}  # how the last pull of a version ended
        self._failures: dict[Key, _Failure] = {}
        self._trouble = ""
        self._odd_names: Set[str] = frozenset()
        self._clock: Callable[[], float] = time.monotonic

    def look(self, *, again: bool = False) -> bool:
        """Looks at the store once, and pulls what is missing.

        Args:
            again: Whether failed pulls are retried at once, and what is wrong with the store is reported again.

        Returns:
            Whether anything in the cache has changed.

        Raises:
            Stopped: When it was cancelled.
            OSError: When the cache cannot be used.
        """
        if again:
            self._failures.clear()
            self._told = dict.fromkeys(self._told, "")
            self._trouble = ""
            self._odd_names = frozenset()
        before = self._cache.current()
        try:
            found = self._listed()
        except GatewayError as error:
            self._report(error.message)
            self._observer.listed(False)
            return False
        self._report("")
        self._observer.listed(True)
        self._wanted = {
            (model, number) for model, versions in found.items() for number in self._policy.choose(versions)
        }
        done = {model: bool(versions) and self._pull_wanted(model, versions) for model, versions in found.items()}
        self._forget(found, done)
        return self._cache.current() != before

    def _listed(self) -> dict[str, Mapping[int, StoredVersion | None]]:
        """Returns the versions in the store.

        Raises:
            GatewayError: When the store is away, or is empty and was not: that counts as a failure, not as a deletion.
        """
        there = self._store.versions()
        self._report_names(there.keys())
        found: dict[str, Mapping[int, StoredVersion | None]] = {
            model: {number: stored for number, stored in versions.items() if stored is None or stored.is_model}
            for model, versions in there.items()
            if is_model_name(model) and (not self._only or model in self._only)
        }
        if not any(found.values()) and self._cache.current():
            raise failed("there is no version in the store, and there were some: what was pulled is kept")
        return found

    def _report_names(self, models: Set[str]) -> None:
        for model in sorted(models - self._odd_names):
            if not is_model_name(model):
                logger.warning("%s in the store is not pulled: %s", shown(model), NOT_A_NAME)
        self._odd_names = {model for model in models if not is_model_name(model)}

    def _report(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            logger.error("the store could not be looked at: %s; what was pulled is served on", trouble)
        elif self._trouble and not trouble:
            logger.info("the store can be looked at again")
        self._trouble = trouble

    def _pull_wanted(self, model: str, versions: Mapping[int, StoredVersion | None]) -> bool:
        """Pulls what the policy chooses; if a pull fails, what it chooses without that version.

        Nothing else of the model is tried once the store is away. Returns whether all that was chosen first is there.
        """
        wanted, complete = self._policy.choose(versions), True
        known = {number for name, number in self._observer.refused() if name == model}
        tried: set[int] = set()
        while missing := [
            number for number in (*wanted, *self._policy.choose(versions.keys() - known)) if number not in tried
        ]:
            key = (model, missing[0])
            tried.add(missing[0])
            try:
                stored = versions[key[1]] or self._store.describe(*key)
                if stored is not None and self._has(key, stored):
                    continue
            except GatewayError as error:
                if error.message != self._told.get(key):  # a failed pull has been reported
                    self._ended(key, error.message)
                if error.kind is ErrorKind.BACKEND_UNAVAILABLE:
                    return False
            known.add(key[1])
            complete = False
        return complete

    def _has(self, key: Key, stored: StoredVersion) -> bool:
        """Pulls a version unless it is in the cache as the store has it, or must wait; returns whether it is there.

        Raises:
            GatewayError: When it could not be pulled.
        """
        current, mark = self._cache.current(), stored.mark
        if current.get(key) == mark:
            return True
        is_first = not any(name == key[0] for name, _ in current)
        if self._seen.get(key, ("", 0.0))[0] != mark:
            self._seen[key] = (mark, self._clock())
        is_settled = self._clock() - self._seen[key][1] >= _SETTLING_SECONDS
        if not (stored.is_whole or stored.is_proven or is_settled or is_first):
            return False  # its upload may not be complete; a later look shows
        failure = self._failures.get(key)
        count = failure.count if failure is not None and failure.mark == mark else 0
        if failure is not None and count and self._clock() < failure.until:
            return False
        newest = {max(version for version in current if version[0] == name) for name, _ in current}
        try:
            self._pull(key, stored, {key, *self._wanted, *newest, *self._observer.served()})
        except GatewayError as error:
            self._ended(key, error.message)
            if error.kind is not ErrorKind.BACKEND_UNAVAILABLE:
                pause = min(_AGAIN_SECONDS * 2**count, _MOST_SECONDS)
                self._failures[key] = _Failure(mark, count + 1, self._clock() + pause)
            raise
        self._failures.pop(key, None)
        self._ended(key, "")
        return True

    def _pull(self, key: Key, stored: StoredVersion, keep: Set[Key]) -> None:
        """Pulls a version, and publishes it."""
        if not stored.is_model:
            raise failed(f"there is no {MODEL_FILES[0]} among its files")
        progress = LoadProgress(stage="making room for it")
        self._observer.begins(key, progress)
        room = self._cache.make_room(stored.size, keep)
        folder = self._cache.partial(key)
        try:
            self._transfer.run(key, stored, folder, room, progress)
            if not stored.is_proven and self._store.describe(*key) != stored:
                raise failed("it changed in the store while it was pulled")
            self._cache.publish(key, stored.mark)
        except OSError as error:
            raise failed(f"it could not be written to {self._cache.folder}: {error.strerror}") from error
        finally:
            self._cache.discard(key)

    def _ended(self, key: Key, error: str) -> None:
        """Reports how a pull ended; the same error is logged once."""
        name, number = key
        if not error:
            logger.info("version %d of model %s was pulled", number, name)
        elif error != self._told.get(key):
            logger.error("version %d of model %s could not be pulled: %s", number, name, error)
        self._told[key] = error
        self._observer.ends(key, error)

    def _forget(self, found: Mapping[str, Mapping[int, object]], done: Mapping[str, bool]) -> None:
        """Removes versions that the store no longer has, if all that is wanted of their model is there."""
        there = {(model, number) for model, versions in found.items() for number in versions}
        gone = {key for key in self._cache.current() if key not in there and done.get(key[0], True)}
        if self._only:
            gone = {key for key in gone if key[0] in self._only}
        for key in sorted(gone):
            self._cache.remove(key)
            self._observer.gone(key)
        if gone:
            logger.info("gone from the store, and so from here: %s", listed(f"{name}/{n}" for name, n in sorted(gone)))
        for key in self._told.keys() - there - gone:
            self._observer.gone(key)
        self._told = {key: error for key, error in self._told.items() if key in there}
        self._failures = {key: failure for key, failure in self._failures.items() if key in there}
        self._seen = {key: seen for key, seen in self._seen.items() if key in there}
