"""The backend that runs SavedModels of a folder in this process."""

import asyncio
import importlib.util
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from service.backends.registry import BackendOptions
from service.backends.savedmodel.folder import newest_versions
from service.core.catalog import Catalog, ModelVersion, State
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor
from service.errors import GatewayError

if TYPE_CHECKING:
    from service.backends.savedmodel.loaded import LoadedModel

logger = logging.getLogger(__name__)

_WARNINGS_ONLY = "1"


class SavedModelBackend:
    """Loads the newest version of every model of the folder, and runs it on a pool of threads.

    TensorFlow is imported when the backend starts, on a thread, so that the servers answer meanwhile.

    Raises:
        ModuleNotFoundError: When tensorflow is not installed.
    """

    def __init__(self, options: BackendOptions) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        self._folder = options.models
        self._runs = ThreadPoolExecutor(options.threads, thread_name_prefix="run")
        self._loads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._models: dict[tuple[str, int], LoadedModel] = {}

    async def start(self, catalog: Catalog) -> None:
        """Loads one model after the other; one that fails is reported and leaves the others as they are."""
        found = await self._scan()
        catalog.announce(ModelVersion(name, version, State.START) for name, (version, _) in found.items())
        for name, (version, folder) in found.items():
            catalog.put(ModelVersion(name, version, State.LOADING))
            catalog.put(await self._load(name, version, folder))

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Runs on the next free thread."""
        return await self._run(self._models[version.name, version.version], signature, inputs)

    async def close(self) -> None:
        """Takes back what has not begun; what has begun runs to its end and is forgotten."""
        for pool in (self._loads, self._runs):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _scan(self) -> dict[str, tuple[int, Path]]:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._loads, newest_versions, self._folder)
        except OSError as error:
            logger.error("the models folder %s cannot be read: %s", self._folder, error.strerror)
            return {}
        if not found:
            logger.error("there is no model in %s: expected <name>/<version>/saved_model.pb", self._folder)
        return found

    async def _load(self, name: str, version: int, folder: Path) -> ModelVersion:
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self._loads, _load_and_warm_up, folder)

            async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
                return await self._run(model, signature, inputs)

            task = await describe(model.signatures, run)
        except GatewayError as error:
            logger.error("version %d of model %s cannot be served: %s", version, name, error.message)
            return ModelVersion(name, version, State.END, error=error.message)
        except Exception:
            logger.exception("version %d of model %s cannot be served", version, name)
            return ModelVersion(name, version, State.END, error="it could not be loaded; the server's log says why")
        self._models[name, version] = model
        logger.info("version %d of model %s is available", version, name)
        return ModelVersion(name, version, State.AVAILABLE, signatures=model.signatures, task=task)

    async def _run(
        self, model: "LoadedModel", signature: Signature, inputs: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        return await asyncio.get_running_loop().run_in_executor(self._runs, model.run, signature, inputs)


def _load_and_warm_up(folder: Path) -> "LoadedModel":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", _WARNINGS_ONLY)
    from service.backends.savedmodel import warmup  # noqa: PLC0415  # this is where tensorflow is imported
    from service.backends.savedmodel.loaded import LoadedModel  # noqa: PLC0415

    model = LoadedModel(folder)
    count = warmup.replay(model, folder)
    logger.info("%s was warmed up with %d requests", folder, count)
    return model
