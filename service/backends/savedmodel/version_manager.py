"""Keeps the served versions of one source in step with what is on disk."""

import asyncio
import gc
import logging
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import partial

from service.backends.savedmodel.folder import FoundVersion, Key, Scan
from service.backends.savedmodel.notices import Notices
from service.backends.savedmodel.served_versions import Loading, ServedVersions
from service.backends.savedmodel.source import ModelSource
from service.core.catalog import Catalog
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.errors import listed

logger = logging.getLogger(__name__)


class VersionManager:
    """Loads and drops versions as the policies of a source say, and keeps the catalog up to date.

    Its methods must be called one at a time.

    Args:
        source: The models to serve.
        catalog: Receives the state of each version.
        loading: How versions are loaded.

    Attributes:
        served: The versions that are served.
    """

    def __init__(self, source: ModelSource, *, catalog: Catalog, loading: Loading) -> None:
        self.served = ServedVersions(catalog, loading)
        self._source = source
        self._seen: Mapping[Key, FoundVersion] = {}
        self._complete: Mapping[Key, FoundVersion] = {}  # those that did not change from one look to the next
        self._replaced: frozenset[str] = frozenset()  # models that a draft is to replace
        self._misplaced: Mapping[str, str] = {}
        self._notices = Notices()
        self._unloaded_with: dict[str, set[int]] = {}  # what was on disk of each model when it was unloaded

    @property
    def catalog(self) -> Catalog:
        """Receives the state of each version; may be replaced by one with the same entries."""
        return self.served.catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self.served.catalog = catalog

    async def start(self) -> None:
        """Announces the versions of the source and loads them one by one."""
        scan = await self._scan() or Scan()
        if not scan.versions:
            logger.error("there is no model in %s: expected <name>/<version>/saved_model.pb", self._source)
        self._seen = self._complete = scan.versions
        self.catalog.announce(ModelVersion(*key, State.START) for key in self._wanted(self._seen))
        await self._load_missing(self._seen)
        self._notice(self._seen)

    def draft(self, configs: Sequence[ModelConfig]) -> "VersionManager":
        """Returns a manager for the models of a list, with its own catalog; it shares the versions served here.

        A version in another folder belongs to another model, and is not shared.
        """
        source = self._source.listing(configs)
        draft = VersionManager(source, catalog=Catalog(), loading=self.served.loading)
        draft.catalog.announce(())  # it is complete: models that are not in the list do not exist
        draft._notices = self._notices
        draft._seen = {key: found for key, found in self._seen.items() if source.has(key[0], found.folder)}
        draft._replaced = frozenset(name for name, _ in self.served.versions)
        for key, version in self.served.versions.items():
            if source.has(key[0], (found := self.served.found[key]).folder):
                draft.served.serve(version, found)
        return draft

    def clear(self) -> None:
        """Drops all versions of a draft and empties its catalog, to which an error may still refer."""
        self.served.versions.clear()
        self.catalog.become(Catalog())

    async def known(self) -> list[str]:
        """Returns the names of all models that are served, were unloaded, or are on disk."""
        found = await self._scan() or Scan()
        return sorted({key[0] for key in (*found.versions, *self.served.versions)} | self._source.unloaded)

    def retry(self, name: str) -> None:
        """Has the next `reconcile` load the model if it was unloaded, and retry its versions that failed."""
        self.served.forget([key for key in self.served.ended if key[0] == name])
        if name in self._source.unloaded:
            for entry in self._entries(name):
                self.catalog.drop(name, entry.version)
            self._source = self._source.with_unloaded(self._source.unloaded - {name})
            del self._unloaded_with[name]

    async def unload(self, name: str) -> None:
        """Drops the model's versions; the catalog lists them as ended."""
        self._source = self._source.with_unloaded(self._source.unloaded | {name})
        self._unloaded_with[name] = {number for known, number in self._seen if known == name}
        await self._drop({key for key in self.served.versions if key[0] == name})
        for entry in self._entries(name):
            if not entry.is_unloaded:
                self.catalog.put(ModelVersion(name, entry.version, State.END))

    def _entries(self, name: str) -> list[ModelVersion]:
        return self.catalog.versions(name) if name in self.catalog else []

    async def reconcile(self, *, settled: Set[str], asked: Set[str] = frozenset()) -> None:
        """Loads new versions, then drops those that are no longer wanted.

        Args:
            settled: Models whose files are known to be complete; of others, a version that has changed since the last
                look is assumed to be still in the middle of a copy.
            asked: Models that are to be in memory afterwards, whatever has to be evicted for them.
        """
        scan = await self._scan()
        if scan is None:
            return  # the folder is not there for now: what is served stays
        found = {**scan.versions, **{k: v for k, v in self._seen.items() if k[0] in scan.unreadable}}
        candidates = {
            key: version
            for key, version in found.items()
            if key in self.served.versions or key[0] in settled or self._seen.get(key) == version
        }
        self._seen, self._complete = found, candidates
        self.served.forget(self.served.ended - found.keys())
        await self._load_missing(candidates, asked)
        await self._drop(self.served.versions.keys() - self._wanted(candidates).keys() - self._kept(found))
        for version in [version for version in self.served.held() if version.name in asked]:
            if version.residence is not None:
                await self.reload((version.name, version.version))
        self._replaced = frozenset()
        self._notice(found)

    def _kept(self, found: Mapping[Key, FoundVersion]) -> set[Key]:
        """Returns versions that are served on although no policy chooses them, as none that one chooses can answer yet.

        Versions that are gone from disk are not kept, nor are those of unloaded models.
        """
        kept: set[Key] = set()
        there = _by_name(found)
        for name, numbers in _by_name(self.served.versions).items():
            wanted = self._source.choose(name, there.get(name, ()))
            if name not in self._source.unloaded and not any(number in wanted for number in numbers):
                kept |= {(name, number) for number in numbers} & found.keys()
        return kept

    def _notice(self, found: Mapping[Key, FoundVersion]) -> None:
        """Tells the catalog what is on disk; logs missing versions, and new ones of unloaded models, once each."""
        self.catalog.stored = {name: sorted(numbers) for name, numbers in _by_name(found).items()}
        stored = self.catalog.stored
        missing: dict[str, tuple[str, ...]] = {}
        for name, numbers in self._source.missing(stored).items():
            served = (key[1] for key in sorted(self.served.versions) if key[0] == name)
            missing[name] = tuple(listed(map(str, some)) or "none" for some in (numbers, stored.get(name, ()), served))
        came = {name: set(stored.get(name, ())) - known for name, known in self._unloaded_with.items()}
        self._notices.tell(
            misplaced=self._misplaced,
            missing=missing,
            came_unloaded=((name, number) for name, numbers in came.items() for number in numbers),
        )

    async def collect(self) -> None:
        """Collects garbage on the thread that loads, so that dropped versions in reference cycles are freed."""
        await asyncio.get_running_loop().run_in_executor(self.served.loading.pool, gc.collect)

    async def reload(self, key: Key, *, beside: bool = False) -> None:
        """Loads a version that is on standby; if it cannot be served any more, what the policy chooses in its place.

        Args:
            key: Of the version.
            beside: Whether it is loaded only if no other version has to be evicted for it.

        Raises:
            GatewayError: As `ServedVersions.reload` does.
        """
        look = partial(self._source.look, self.served.found[key].folder)
        if not await self.served.reload(key, look, self._source.options(key[0]), beside=beside):
            failed = {key: self.served.failed[key]}
            self._seen = {**self._seen, **failed}
            await self._load_missing({one: it for one, it in self._complete.items() if one[0] == key[0]} | failed)

    async def _load_missing(self, found: Mapping[Key, FoundVersion], asked: Set[str] = frozenset()) -> None:
        """Loads the wanted versions that are not served yet; if one fails, the policy chooses another.

        Args:
            found: What is on disk.
            asked: Models that are to be in memory, whatever has to be evicted for them.
        """
        served, tried = self.served.versions, set[Key]()
        while missing := [key for key in self._wanted(found) if key not in served and key not in tried]:
            models = {name for name, _ in served} | self._replaced
            for key in missing:
                tried.add(key)
                # A version that replaces another is loaded now, so that it does not if it fails.
                is_urgent = key[0] in asked or key[0] in models
                await self.served.load(key, found[key], self._source.options(key[0]), is_urgent=is_urgent)
                if key not in served:
                    break

    async def _drop(self, keys: Set[Key]) -> None:
        """Takes versions out of service all at once, so that no older one answers after a newer one has."""
        for key in keys:
            self.served.drop(key, as_unloaded=key[0] in self._source.unloaded)
        if keys:
            await self.collect()  # free their memory before the next ones are loaded

    def _wanted(self, found: Mapping[Key, FoundVersion]) -> dict[Key, FoundVersion]:
        """Returns the versions that the policies choose, of all but those that failed and are unchanged."""
        candidates = (key for key in found if self.served.failed.get(key) != found[key])
        return {
            (name, version): found[name, version]
            for name, versions in _by_name(candidates).items()
            for version in self._source.choose(name, versions)
        }

    async def _scan(self) -> Scan | None:
        """Returns what is on disk; ``None`` when the folder cannot be read. Logs each problem once."""
        scan = None
        try:
            scan = await asyncio.get_running_loop().run_in_executor(self.served.loading.pool, self._source.scan)
            problems = set(scan.problems())
            self.catalog.unserved = {**scan.misplaced, **scan.unreadable}
            self._misplaced = scan.misplaced
        except OSError as error:
            problem = f"the models folder {self._source} cannot be read: {error.strerror}"
            problems = {problem}
            self.catalog.unserved = dict.fromkeys({name for name, _ in self._seen}, problem)
        self._notices.tell_problems(problems)
        return scan


def _by_name(keys: Iterable[Key]) -> dict[str, list[int]]:
    """Returns the versions of each model."""
    numbers: dict[str, list[int]] = {}
    for name, number in keys:
        numbers.setdefault(name, []).append(number)
    return numbers
