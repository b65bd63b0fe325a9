"""The backend that runs SavedModels in this process."""

import asyncio
import functools
import gc
import importlib.util
import logging
import os
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

from service.backends.registry import BackendOptions
from service.backends.savedmodel import native_output
from service.backends.savedmodel.folder import Findings, FoundVersion, Key, verify
from service.backends.savedmodel.source import ModelSource
from service.core.catalog import Catalog, ModelVersion, State
from service.core.model_config import ModelConfig
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, Violation, listed, shown

if TYPE_CHECKING:
    from service.backends.savedmodel.loaded import LoadedModel

logger = logging.getLogger(__name__)

_WARNINGS_ONLY = "1"


class SavedModelBackend:
    """Loads the versions that the policies choose, follows the folders' changes, and runs on a pool of threads.

    A version replaces another only once it is loaded and warmed up; one that fails replaces none. What is dropped lives
    on until the last request that holds it is answered.

    TensorFlow is imported when the backend starts, on a thread, so that the servers answer meanwhile.

    Raises:
        ModuleNotFoundError: When tensorflow is not installed.
    """

    def __init__(self, options: BackendOptions) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        self._poll_seconds = options.poll_seconds
        source = ModelSource(options.models.absolute(), options.policy)  # as the folders of a list are
        self._source = source if options.configs is None else source.listing(options.configs)
        self._runs = ThreadPoolExecutor(options.threads, thread_name_prefix="run")
        self._loads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._served: dict[Key, ModelVersion] = {}
        self._folders: dict[Key, Path] = {}
        self._failed: dict[Key, FoundVersion] = {}
        self._seen: Mapping[Key, FoundVersion] = {}
        self._troubles: set[str] = set()
        self._catalog = Catalog()
        self._changing = asyncio.Lock()
        self._polling: asyncio.Task[None] | None = None

    async def start(self, catalog: Catalog) -> None:
        """Loads what the source holds, one version after the other, and begins to look for changes."""
        self._catalog = catalog
        async with self._changing:
            findings = await self._find() or Findings()
            if not findings.versions:
                logger.error("there is no model in %s: expected <name>/<version>/saved_model.pb", self._source)
            self._seen = findings.versions
            catalog.announce(ModelVersion(*key, State.START) for key in self._wanted(self._seen))
            await self._load_missing(self._seen)
        if self._poll_seconds:
            self._polling = asyncio.create_task(self._poll())

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Runs on the next free thread."""
        return await self._run(cast("LoadedModel", version.handle), signature, inputs)

    async def close(self) -> None:
        """Takes back what has not begun; what has begun runs to its end and is forgotten."""
        if self._polling is not None:
            self._polling.cancel()
        for pool in (self._loads, self._runs):
            pool.shutdown(wait=False, cancel_futures=True)

    async def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serves the models of the list from now on."""
        async with self._changing:
            self._end_unloading(self._source.unloaded)
            self._source = self._source.listing(configs)
            # What lay in another folder is another model: it does not stand in for one that cannot be read.
            self._seen = {key: found for key, found in self._seen.items() if self._source.has(key[0], found.folder)}
            found = (await self._find() or Findings()).versions
            for key, version in self._wanted(found).items():
                if key in self._served and not self._source.has(key[0], self._folders[key]):
                    await self._load(key, version)
            await self._follow(settled={config.name for config in configs})

    async def load(self, name: str) -> None:
        """Serves the model again, if it was unloaded, and what is new of it."""
        async with self._changing:
            await self._require(name)
            self._end_unloading({name})
            for key in [key for key in self._failed if key[0] == name]:
                del self._failed[key]
                self._catalog.drop(*key)
            await self._follow(settled={name})

    async def unload(self, name: str) -> None:
        """Drops the model's versions; its entries in the catalog say that it is over."""
        async with self._changing:
            await self._require(name)
            self._source = self._source.with_unloaded(self._source.unloaded | {name})
            for key in [key for key in self._served if key[0] == name]:
                await self._drop(key)
            for entry in self._catalog.versions(name) if name in self._catalog else []:
                self._catalog.put(ModelVersion(name, entry.version, State.END))

    def _end_unloading(self, names: Set[str]) -> None:
        for name in names & self._source.unloaded:
            for entry in self._catalog.versions(name) if name in self._catalog else []:
                self._catalog.drop(name, entry.version)
            self._failed = {key: found for key, found in self._failed.items() if key[0] != name}
        self._source = self._source.with_unloaded(self._source.unloaded - names)

    async def _require(self, name: str) -> None:
        """Refuses a model of which there is neither anything in the catalog nor on disk."""
        found = await self._find() or Findings()
        known = sorted({key[0] for key in (*found.versions, *self._served)} | self._source.unloaded)
        if name not in known:
            violation = Violation("model", f"one of {listed(known) or 'none'}", shown(name))
            raise GatewayError(ErrorKind.MODEL_NOT_FOUND, str(violation), [violation])

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                async with self._changing:
                    await self._follow(settled=set())
            except Exception:
                logger.exception("the models could not be followed; they are looked at again soon")

    async def _follow(self, *, settled: Set[str]) -> None:
        """Loads what has come, then drops what is no longer wanted.

        Args:
            settled: Models whose files are known to be whole; of others, a version that has changed since the last look
                is still being copied here by someone.
        """
        findings = await self._find()
        if findings is None:
            return  # not there, for now: what is served stays
        found = {**findings.versions, **{k: v for k, v in self._seen.items() if k[0] in findings.unreadable}}
        candidates = {
            key: version
            for key, version in found.items()
            if key in self._served or key[0] in settled or self._seen.get(key) == version
        }
        self._seen = found
        for key in self._failed.keys() - found.keys():
            del self._failed[key]
            self._catalog.drop(*key)
        await self._load_missing(candidates)
        for key in self._served.keys() - self._wanted(candidates).keys():
            await self._drop(key)

    async def _load_missing(self, found: Mapping[Key, FoundVersion]) -> None:
        """Loads what is wanted and not served yet; where one fails, what the policy chooses in its place."""
        while missing := [key for key in self._wanted(found) if key not in self._served]:
            await self._load(missing[0], found[missing[0]])

    async def _drop(self, key: Key) -> None:
        del self._served[key], self._folders[key]
        if key[0] in self._source.unloaded:
            self._catalog.put(ModelVersion(*key, State.END))
        else:
            self._catalog.drop(*key)
        # A loaded model is full of reference cycles; its memory is to be free before the next one comes.
        await asyncio.get_running_loop().run_in_executor(self._loads, gc.collect)

    def _wanted(self, found: Mapping[Key, FoundVersion]) -> dict[Key, FoundVersion]:
        """Returns what is to be served: by the policies, among the versions that did not fail as they are."""
        candidates: dict[str, list[int]] = {}
        for name, version in found:
            if self._failed.get((name, version)) != found[name, version]:
                candidates.setdefault(name, []).append(version)
        return {
            (name, version): found[name, version]
            for name, versions in candidates.items()
            for version in self._source.choose(name, versions)
        }

    async def _find(self) -> Findings | None:
        """Returns what is on disk; ``None`` when the folder cannot be read. Complains once of each trouble."""
        loop = asyncio.get_running_loop()
        findings = None
        try:
            findings = await loop.run_in_executor(self._loads, self._source.look)
            troubles = {f"the model {name} cannot be read: {why}" for name, why in findings.unreadable.items()}
        except OSError as error:
            troubles = {f"the models folder {self._source} cannot be read: {error.strerror}"}
        for trouble in sorted(troubles - self._troubles):
            logger.error(trouble)
        self._troubles = troubles
        return findings

    async def _load(self, key: Key, found: FoundVersion) -> None:
        """Makes a version available, or notes why it cannot be; one of the same number is served until then."""
        if key not in self._served:
            self._catalog.put(ModelVersion(*key, State.LOADING))
        self._failed.pop(key, None)
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._loads, _load_and_warm_up, found.folder)

            async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
                return await self._run(model, signature, inputs)

            task = await describe(model.signatures, run)
        except Exception as error:
            self._failed[key] = found
            self._served.pop(key, None)
            self._folders.pop(key, None)
            reason = _reason(key, error)
            self._catalog.put(ModelVersion(*key, State.END, error=reason))
            return
        self._served[key] = ModelVersion(*key, State.AVAILABLE, signatures=model.signatures, task=task, handle=model)
        self._folders[key] = found.folder
        self._catalog.put(self._served[key])

    async def _run(
        self, model: "LoadedModel", signature: Signature, inputs: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        return await asyncio.get_running_loop().run_in_executor(self._runs, model.run, signature, inputs)


def _reason(key: Key, error: Exception) -> str:
    name, version = key
    if isinstance(error, GatewayError):
        logger.error("version %d of model %s cannot be served: %s", version, name, error.message)
        return error.message
    logger.error("version %d of model %s cannot be served", version, name, exc_info=error)
    return "it could not be loaded; the server's log says why"


@functools.cache
def _import_tensorflow() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _WARNINGS_ONLY)
    with native_output.logged(logger):
        tensorflow = importlib.import_module("tensorflow")
        # Its Python loader recommends another one, which costs more at every call.
        tensorflow.get_logger().setLevel(logging.ERROR)
        devices = [
            device.name.removeprefix("/physical_device:") for device in tensorflow.config.list_physical_devices()
        ]
    logger.info("TensorFlow %s runs on %s", tensorflow.__version__, ", ".join(devices))
    # Its modules are half a million objects that live for ever: the collector need not look at them again.
    gc.freeze()


def _load_and_warm_up(folder: Path) -> "LoadedModel":
    _import_tensorflow()
    from service.backends.savedmodel import warmup  # noqa: PLC0415  # imports tensorflow
    from service.backends.savedmodel.loaded import LoadedModel  # noqa: PLC0415  # likewise

    verify(folder)
    model = LoadedModel(folder)
    count = warmup.replay(model, folder)
    logger.info("%s was warmed up with %d requests", folder, count)
    return model
