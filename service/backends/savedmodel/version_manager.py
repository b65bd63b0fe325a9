"""Keeps the served versions of one source in step with what is on disk."""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from service.backends.savedmodel.folder import FoundVersion, Key, Scan
from service.backends.savedmodel.source import ModelSource
from service.core.batch_policy import ServingOptions
from service.core.catalog import Catalog
from service.core.load_progress import LoadProgress
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.errors import GatewayError, listed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loading:
    """How versions are loaded.

    Attributes:
        pool: Runs what would block the event loop.
        load: Returns the version in a folder, available, to be served so, and tells how far it is; raises where
            there is none.
    """

    pool: Executor
    load: Callable[[Key, Path, ServingOptions, LoadProgress], Awaitable[ModelVersion]]


class VersionManager:
    """Loads and drops versions as the policies of a source choose, and keeps the catalog up to date.

    Its methods must be called one at a time.

    Args:
        source: The models to serve.
        catalog: Receives the state of each version.
        loading: How versions are loaded.

    Attributes:
        catalog: May be replaced by one with the same entries.
    """

    def __init__(self, source: ModelSource, *, catalog: Catalog, loading: Loading) -> None:
        self.catalog = catalog
        self._source = source
        self._loading = loading
        self._served: dict[Key, ModelVersion] = {}
        self._folders: dict[Key, Path] = {}
        self._failed: dict[Key, FoundVersion] = {}
        self._seen: Mapping[Key, FoundVersion] = {}
        self._problems: set[str] = set()
        self._notes: set[str] = set()
        self._hints: Mapping[str, str] = {}  # what the last look found misplaced
        self._hinted: Mapping[str, str] | None = None  # what the one before it did
        self._unloaded_with: dict[str, set[int]] = {}  # what was on disk of each model when it was unloaded

    async def start(self) -> None:
        """Announces the versions of the source and loads them one by one."""
        scan = await self._scan() or Scan()
        if not scan.versions:
            logger.error("there is no model in %s: expected <name>/<version>/saved_model.pb", self._source)
        self._seen = scan.versions
        self.catalog.announce(ModelVersion(*key, State.START) for key in self._wanted(self._seen))
        await self._load_missing(self._seen)
        self._notice(self._seen)

    def draft(self, configs: Sequence[ModelConfig]) -> "VersionManager":
        """Returns a manager for the models of a list, with a catalog of its own; it shares the versions served here.

        A version in another folder belongs to another model: it does not stand in for one that cannot be read.
        """
        source = self._source.listing(configs)
        draft = VersionManager(source, catalog=Catalog(), loading=self._loading)
        draft.catalog.announce(())  # what is not in the list will not be there
        draft._problems, draft._notes, draft._hinted = self._problems, self._notes, self._hinted
        draft._seen = {key: found for key, found in self._seen.items() if source.has(key[0], found.folder)}
        for key, version in self._served.items():
            if source.has(key[0], self._folders[key]):
                draft._serve(version, self._folders[key])
        return draft

    def clear(self) -> None:
        """Drops all versions of a draft and empties its catalog, as an error may still refer to it."""
        self._served.clear()
        self.catalog.become(Catalog())

    async def known(self) -> list[str]:
        """Returns the names of all models that are served, were unloaded, or are on disk."""
        found = await self._scan() or Scan()
        return sorted({key[0] for key in (*found.versions, *self._served)} | self._source.unloaded)

    def retry(self, name: str) -> None:
        """Has the next `reconcile` load the model if it was unloaded, and its versions that failed."""
        if name in self._source.unloaded:
            for entry in self.catalog.versions(name) if name in self.catalog else []:
                self.catalog.drop(name, entry.version)
            self._failed = {key: found for key, found in self._failed.items() if key[0] != name}
            self._source = self._source.with_unloaded(self._source.unloaded - {name})
            del self._unloaded_with[name]
        for key in [key for key in self._failed if key[0] == name]:
            del self._failed[key]
            self.catalog.drop(*key)

    async def unload(self, name: str) -> None:
        """Drops the model's versions; the catalog lists them as ended."""
        self._source = self._source.with_unloaded(self._source.unloaded | {name})
        self._unloaded_with[name] = set(_numbers(self._seen, name))
        await self._drop({key for key in self._served if key[0] == name})
        for entry in self.catalog.versions(name) if name in self.catalog else []:
            self.catalog.put(ModelVersion(name, entry.version, State.END))

    def held(self) -> list[ModelVersion]:
        """Returns the versions that are served."""
        return list(self._served.values())

    def suspend(self) -> None:
        """Has the catalog say that none of them can answer for now."""
        for version in self._served.values():
            self.catalog.put(replace(version, state=State.LOADING, load_seconds=0.0, progress=LoadProgress()))

    def resume(self, version: ModelVersion) -> None:
        """Has the catalog say that one of them can again."""
        self._serve(version, self._folders[version.name, version.version])

    def give_up(self, version: ModelVersion, error: str, *, as_it_is: bool) -> None:
        """Drops one of them, as one that failed.

        Args:
            version: The one.
            error: Why.
            as_it_is: Whether it is not tried again before its files change, and not at the next look already.
        """
        key = (version.name, version.version)
        logger.error("version %d of model %s cannot be served any more: %s", version.version, version.name, error)
        del self._served[key], self._folders[key]
        if as_it_is and key in self._seen:
            self._failed[key] = self._seen[key]
        self.catalog.put(ModelVersion(*key, State.END, error=error))

    async def reconcile(self, *, settled: Set[str]) -> None:
        """Loads new versions, then drops those that are no longer wanted.

        Args:
            settled: Models whose files are known to be complete; of others, a version that has changed since the last
                look is taken to be still in the middle of a copy.
        """
        scan = await self._scan()
        if scan is None:
            return  # not there, for now: what is served stays
        found = {**scan.versions, **{k: v for k, v in self._seen.items() if k[0] in scan.unreadable}}
        candidates = {
            key: version
            for key, version in found.items()
            if key in self._served or key[0] in settled or self._seen.get(key) == version
        }
        self._seen = found
        for key in self._failed.keys() - found.keys():
            del self._failed[key]
            self.catalog.drop(*key)
        await self._load_missing(candidates)
        await self._drop(self._served.keys() - self._wanted(candidates).keys() - self._kept(found))
        self._notice(found)

    def _kept(self, found: Mapping[Key, FoundVersion]) -> set[Key]:
        """Returns versions that are served although nothing wants them, as none that is wanted can answer yet.

        Those that are gone from disk are not among them, nor are those of models that were unloaded.
        """
        kept: set[Key] = set()
        for name in {key[0] for key in self._served} - self._source.unloaded:
            served = {key for key in self._served if key[0] == name}
            wanted = self._source.choose(name, _numbers(found, name))
            if not any(key[1] in wanted for key in served):
                kept |= served & found.keys()
        return kept

    def _notice(self, found: Mapping[Key, FoundVersion]) -> None:
        """Tells the catalog what is on disk; logs once what is wanted and not there, and what came for nothing."""
        self.catalog.stored = {name: sorted(_numbers(found, name)) for name in {key[0] for key in found}}
        # What is still being copied is no version for a moment: only what is seen twice is told, but for the start.
        told = self._hints.items() if self._hinted is None else self._hints.items() & self._hinted.items()
        notes = {f"nothing of {name} is served: {hint}" for name, hint in told}
        self._hinted = self._hints
        for name, numbers in self._source.missing(self.catalog.stored).items():
            there = listed(map(str, self.catalog.stored.get(name, ()))) or "none"
            serves = listed(str(key[1]) for key in sorted(self._served) if key[0] == name) or "none"
            wanted = listed(map(str, numbers))
            notes.add(
                f"version {wanted} of model {name} is to be served and not there; on disk: {there}; served: {serves}"
            )
        for name, known in self._unloaded_with.items():
            for number in set(self.catalog.stored.get(name, ())) - known:
                notes.add(
                    f"version {number} of model {name} has come; a client unloaded the model: load it to serve it"
                )
        for note in sorted(notes - self._notes):
            logger.warning(note)
        self._notes = notes

    async def collect(self) -> None:
        """Waits until dropped versions are freed, by the thread that loads; those in reference cycles too."""
        await asyncio.get_running_loop().run_in_executor(self._loading.pool, gc.collect)

    async def _load_missing(self, found: Mapping[Key, FoundVersion]) -> None:
        """Loads the wanted versions that are not served yet; where one fails, the policy chooses another."""
        while missing := [key for key in self._wanted(found) if key not in self._served]:
            await self._load(missing[0], found[missing[0]])

    async def _drop(self, keys: Set[Key]) -> None:
        """Takes versions out of service, all at once: no older one is to answer after a newer one has."""
        for key in keys:
            del self._served[key], self._folders[key]
            if key[0] in self._source.unloaded:
                self.catalog.put(ModelVersion(*key, State.END))
            else:
                self.catalog.drop(*key)
        if keys:
            await self.collect()  # their memory is to be free before the next ones come

    def _wanted(self, found: Mapping[Key, FoundVersion]) -> dict[Key, FoundVersion]:
        """Returns the versions to serve: what the policies choose among those that have not failed unchanged."""
        candidates: dict[str, list[int]] = {}
        for name, version in found:
            if self._failed.get((name, version)) != found[name, version]:
                candidates.setdefault(name, []).append(version)
        return {
            (name, version): found[name, version]
            for name, versions in candidates.items()
            for version in self._source.choose(name, versions)
        }

    async def _scan(self) -> Scan | None:
        """Returns what is on disk; ``None`` when the folder cannot be read. Logs each problem once."""
        scan = None
        try:
            scan = await asyncio.get_running_loop().run_in_executor(self._loading.pool, self._source.scan)
            problems = set(scan.problems())
            self.catalog.unserved = {**scan.misplaced, **scan.unreadable}
            self._hints = scan.misplaced
        except OSError as error:
            problem = f"the models folder {self._source} cannot be read: {error.strerror}"
            problems = {problem}
            self.catalog.unserved = dict.fromkeys({name for name, _ in self._seen}, problem)
        for problem in sorted(problems - self._problems):
            logger.error(problem)
        self._problems = problems
        return scan

    async def _load(self, key: Key, found: FoundVersion) -> None:
        """Makes a version available, or records why it failed."""
        if found.error:  # which the scan has logged
            self._failed[key] = found
            self.catalog.put(ModelVersion(*key, State.END, error=found.error))
            return
        progress = LoadProgress()
        self.catalog.put(ModelVersion(*key, State.LOADING, progress=progress))
        self._failed.pop(key, None)
        began = time.monotonic()
        try:
            version = await self._loading.load(key, found.folder, self._source.options(key[0]), progress)
        except Exception as error:
            self._failed[key] = found
            seconds = time.monotonic() - began
            self.catalog.put(ModelVersion(*key, State.END, error=_reason(key, error), load_seconds=seconds))
            return
        self._serve(replace(version, load_seconds=time.monotonic() - began), found.folder)

    def _serve(self, version: ModelVersion, folder: Path) -> None:
        key = (version.name, version.version)
        self._served[key] = version
        self._folders[key] = folder
        self.catalog.put(version)


def _numbers(found: Mapping[Key, FoundVersion], name: str) -> list[int]:
    """Returns the versions of a model."""
    return [key[1] for key in found if key[0] == name]


def _reason(key: Key, error: Exception) -> str:
    name, version = key
    if isinstance(error, GatewayError):
        logger.error("version %d of model %s cannot be served: %s", version, name, error.message)
        return error.message
    logger.error("version %d of model %s cannot be served", version, name, exc_info=error)
    return "it could not be loaded; the server's log says why"
