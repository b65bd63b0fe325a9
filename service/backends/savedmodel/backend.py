"""The backend that runs SavedModels of a folder in this process."""

import asyncio
import functools
import gc
import importlib.util
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

from service.backends.registry import BackendOptions
from service.backends.savedmodel import native_output
from service.backends.savedmodel.folder import Findings, FoundVersion, Key, find_versions, verify
from service.core.catalog import Catalog, ModelVersion, State
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor
from service.errors import GatewayError

if TYPE_CHECKING:
    from service.backends.savedmodel.loaded import LoadedModel

logger = logging.getLogger(__name__)

_WARNINGS_ONLY = "1"


class SavedModelBackend:
    """Loads the versions that the policy chooses, follows the folder's changes, and runs on a pool of threads.

    A version replaces another only once it is loaded and warmed up; one that fails replaces none. What is dropped lives
    on until the last request that holds it is answered.

    TensorFlow is imported when the backend starts, on a thread, so that the servers answer meanwhile.

    Raises:
        ModuleNotFoundError: When tensorflow is not installed.
    """

    def __init__(self, options: BackendOptions) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        self._options = options
        self._runs = ThreadPoolExecutor(options.threads, thread_name_prefix="run")
        self._loads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._served: dict[Key, ModelVersion] = {}
        self._failed: dict[Key, FoundVersion] = {}
        self._seen: Mapping[Key, FoundVersion] = {}
        self._troubles: set[str] = set()
        self._polling: asyncio.Task[None] | None = None

    async def start(self, catalog: Catalog) -> None:
        """Loads what the folder holds, one version after the other, and begins to look for changes."""
        findings = await self._find() or Findings()
        if not findings.versions:
            logger.error("there is no model in %s: expected <name>/<version>/saved_model.pb", self._options.models)
        self._seen = findings.versions
        wanted = self._wanted(self._seen)
        catalog.announce(ModelVersion(*key, State.START) for key in wanted)
        for key in wanted:
            await self._load(key, wanted[key], catalog)
        if self._options.poll_seconds:
            self._polling = asyncio.create_task(self._poll(catalog))

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

    async def _poll(self, catalog: Catalog) -> None:
        while True:
            await asyncio.sleep(self._options.poll_seconds)
            try:
                await self._follow(catalog)
            except Exception:
                logger.exception("the models folder could not be followed; it is looked at again soon")

    async def _follow(self, catalog: Catalog) -> None:
        """Loads what has come, then drops what is no longer wanted."""
        findings = await self._find()
        if findings is None:
            return  # not there, for now: what is served stays
        found = {**findings.versions, **{k: v for k, v in self._seen.items() if k[0] in findings.unreadable}}
        # A version that changed since the last look is still being copied here by someone.
        candidates = {
            key: version for key, version in found.items() if key in self._served or self._seen.get(key) == version
        }
        self._seen = found
        for key in self._failed.keys() - found.keys():
            del self._failed[key]
            catalog.drop(*key)
        while missing := [key for key in self._wanted(candidates) if key not in self._served]:
            await self._load(missing[0], found[missing[0]], catalog)
        for key in self._served.keys() - self._wanted(candidates).keys():
            del self._served[key]
            catalog.drop(*key)
            # A loaded model is full of reference cycles; its memory is to be free before the next one comes.
            await asyncio.get_running_loop().run_in_executor(self._loads, gc.collect)

    def _wanted(self, found: Mapping[Key, FoundVersion]) -> dict[Key, FoundVersion]:
        """Returns what is to be served: by the policy, among the versions that did not fail as they are."""
        candidates: dict[str, list[int]] = {}
        for name, version in found:
            if self._failed.get((name, version)) != found[name, version]:
                candidates.setdefault(name, []).append(version)
        return {
            (name, version): found[name, version]
            for name, versions in candidates.items()
            for version in self._options.policy.choose(versions)
        }

    async def _find(self) -> Findings | None:
        """Returns what is on disk; ``None`` when the folder cannot be read. Complains once of each trouble."""
        loop = asyncio.get_running_loop()
        findings = None
        try:
            findings = await loop.run_in_executor(self._loads, find_versions, self._options.models)
            troubles = {f"the model {name} cannot be read: {why}" for name, why in findings.unreadable.items()}
        except OSError as error:
            troubles = {f"the models folder {self._options.models} cannot be read: {error.strerror}"}
        for trouble in sorted(troubles - self._troubles):
            logger.error(trouble)
        self._troubles = troubles
        return findings

    async def _load(self, key: Key, found: FoundVersion, catalog: Catalog) -> None:
        """Makes a version available, or notes why it cannot be."""
        catalog.put(ModelVersion(*key, State.LOADING))
        self._failed.pop(key, None)
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._loads, _load_and_warm_up, found.folder)

            async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
                return await self._run(model, signature, inputs)

            task = await describe(model.signatures, run)
        except Exception as error:
            self._failed[key] = found
            reason = _reason(key, error)
            catalog.put(ModelVersion(*key, State.END, error=reason))
            return
        self._served[key] = ModelVersion(*key, State.AVAILABLE, signatures=model.signatures, task=task, handle=model)
        catalog.put(self._served[key])

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
