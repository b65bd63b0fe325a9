"""The backend that runs SavedModels: in this process, or in a helper process."""

import asyncio
import importlib.util
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.backends.references import reference_in
from service.backends.registry import BackendOptions
from service.backends.savedmodel.folder import Key
from service.backends.savedmodel.isolated import HelperRunner
from service.backends.savedmodel.loading import Recorded
from service.backends.savedmodel.memory import Memory
from service.backends.savedmodel.resident import Held, Resident
from service.backends.savedmodel.runners import OwnProcess, Runner, Source
from service.backends.savedmodel.served_versions import Loading
from service.backends.savedmodel.source import ModelSource
from service.backends.savedmodel.trust import Trust
from service.backends.savedmodel.version_manager import VersionManager
from service.core.batch_policy import ServingOptions, ShapeMode
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.load_progress import LoadProgress
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.core.ports import Accept
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor
from service.core.verified_batching import find_unbatched
from service.errors import ErrorKind, GatewayError, Violation, shown

logger = logging.getLogger(__name__)

_SETTLING_SECONDS = 1.0


class SavedModelBackend:
    """Loads the versions that the policies choose, follows changes of the folders, and runs models by a runner.

    A version replaces another only once it is loaded and warmed up; one that fails replaces none. A list of models
    replaces another as a whole, or not at all. A dropped version lives on until the last request that holds it is
    answered.

    TensorFlow is imported when the backend starts, on a thread or in the helper process, so the servers answer
    meanwhile.

    Raises:
        ModuleNotFoundError: When tensorflow is not installed.
    """

    def __init__(self, options: BackendOptions) -> None:
        if importlib.util.find_spec("tensorflow") is None:
            raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
        self._poll_seconds = options.poll_seconds
        self._batching = options.batching
        self._trust = Trust.of(options.trusted_hashes, options.trusted_key)
        # Absolute, as the folders of a list are.
        source = ModelSource(options.models.absolute(), options.policy, watched=options.trusted_hashes)
        self._runner = _runner(options)
        self._loads = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._memory = Memory(options.memory, reload=self._reload_version, collect=self._collect)
        self._manager = VersionManager(
            source if options.configs is None else source.listing(options.configs),
            catalog=Catalog(),
            loading=Loading(self._loads, self._load, self._load_known, self._memory),
        )
        self._changing = asyncio.Lock()
        self._polling: asyncio.Task[None] | None = None

    async def start(self, catalog: Catalog) -> None:
        """Loads the versions of the source one by one, and starts polling for changes."""
        self._manager.catalog = catalog
        await self._runner.start(lambda: self._manager.served)
        async with self._changing:
            await self._manager.start()
        if self._poll_seconds:
            self._polling = asyncio.create_task(self._poll())

    def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Coroutine[Any, Any, Mapping[str, Tensor]]:
        """Runs as soon as there is room."""
        return self._runner.run(version, signature, inputs, deadline)

    async def repeat(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Repeats a run that was under way when the helper process ended, once nothing else runs."""
        return await self._runner.run(version, signature, inputs, deadline, alone=True)

    async def close(self) -> None:
        """Cancels loads and runs that have not begun; results of those that have are dropped."""
        if self._polling is not None:
            self._polling.cancel()
        self._memory.close()
        self._loads.shutdown(wait=False, cancel_futures=True)
        await self._runner.close()

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Serves the models of the list from now on; versions that are served already are not loaded again.

        If it is cancelled, the load that is under way is finished, and what was loaded is dropped.
        """
        async with self._changing:
            draft = self._manager.draft(configs)
            try:
                await draft.reconcile(settled={config.name for config in configs})
                accept(draft.catalog)
            except BaseException:
                draft.clear()
                raise
            else:
                catalog = self._manager.catalog
                catalog.become(draft.catalog)
                self._manager, draft.catalog = draft, catalog
            finally:
                await self._manager.collect()

    async def load(self, name: str) -> None:
        """Serves the model again if it was unloaded, loads its new versions, and retries those that failed."""
        async with self._changing:
            await self._require(name)
            self._manager.retry(name)
            await self._manager.reconcile(settled={name}, asked={name})

    async def unload(self, name: str) -> None:
        """Drops the model's versions; the catalog lists them as ended."""
        async with self._changing:
            await self._require(name)
            await self._manager.unload(name)

    async def look(self) -> None:
        """Looks twice, as a version is not loaded while its files change from one look to the next."""
        await self._reconcile()
        await asyncio.sleep(_SETTLING_SECONDS)
        await self._reconcile()

    async def _require(self, name: str) -> None:
        """Raises MODEL_NOT_FOUND for a model that is neither served, nor unloaded, nor on disk."""
        known = await self._manager.known()
        if name not in known:
            why = self._manager.catalog.unserved.get(name)
            got = shown(name) if why is None else f"{shown(name)}, which cannot be served: {why}"
            violation = Violation("model", "a model that is served, unloaded or on disk", got)
            raise GatewayError(ErrorKind.MODEL_NOT_FOUND, str(violation), [violation])

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            try:
                await self._reconcile()
            except Exception:
                logger.exception("the models folder could not be scanned; it is scanned again soon")

    async def _reconcile(self) -> None:
        async with self._changing:
            await self._manager.reconcile(settled=set())

    async def _reload_version(self, resident: Resident, beside: bool) -> None:
        async with self._changing:
            served = self._manager.served.versions.get(resident.key)
            if served is not None and served.handle is resident:
                await self._manager.reload(resident.key, beside=beside)

    async def _collect(self) -> None:
        await self._manager.collect()

    async def _load(self, resident: Resident, options: ServingOptions, progress: LoadProgress) -> ModelVersion:
        """Loads a version, warms it up and tries it out; its handle is a `Held`."""
        async with self._source(resident, progress) as source:
            version = await self._runner.attempt(partial(self._loaded, resident, source, options, progress))
            return replace(version, folder=resident.found.folder)

    async def _load_known(self, resident: Resident, options: ServingOptions, progress: LoadProgress) -> Held:
        """Loads a version that was loaded before and has not changed: it is not warmed up, nor tried out."""
        async with self._source(resident, progress) as source:
            held, _ = await self._runner.attempt(partial(self._held, resident, source, None, progress))
            return held

    @asynccontextmanager
    async def _source(self, resident: Resident, progress: LoadProgress) -> AsyncIterator[Source]:
        """Makes room for a version; yields where to load it from: with trusted versions, a checked copy."""
        if not self._memory.has_room(resident.found.memory_bytes):
            progress.enter("making room in memory")
            await self._memory.make_room(resident.found.memory_bytes)
        key, folder = resident.key, resident.found.folder
        if self._trust is None:
            yield Source(folder, lambda: nullcontext(folder))
            return
        with TemporaryDirectory(prefix="tensorgate-", ignore_cleanup_errors=True) as copy:
            run = asyncio.get_running_loop().run_in_executor
            await run(self._loads, self._trust.copy, key, folder, Path(copy), progress)
            yield Source(Path(copy), partial(_copied, self._trust, key, folder))

    async def _held(
        self, resident: Resident, source: Source, shapes: ShapeMode | None, progress: LoadProgress
    ) -> tuple[Held, Recorded]:
        """Loads a model, and takes memory for it, which is given back when it is freed or could not be loaded."""
        taken = self._memory.take(resident.found.memory_bytes)
        load = partial(self._runner.load, source, shapes, progress, ended=taken.give_back)
        try:
            model, recorded = await asyncio.get_running_loop().run_in_executor(self._loads, load)
        except BaseException:
            taken.give_back()
            raise
        return Held(model, taken), recorded

    async def _loaded(
        self, resident: Resident, source: Source, options: ServingOptions, progress: LoadProgress
    ) -> ModelVersion:
        loop = asyncio.get_running_loop()
        held, recorded = await self._held(resident, source, options.shapes, progress)
        model = held.model

        async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            # On the thread that loads, as requests may need the others.
            progress.advance()
            return await loop.run_in_executor(self._loads, model.run, signature, signature.with_defaults(inputs))

        progress.enter("trying what it is for")
        described = await describe(model.signatures, run)
        progress.enter("trying whether rows depend on each other", "runs", done=0)
        unbatched = await find_unbatched(
            model.signatures,
            run,
            policy=lambda signature: options.policy(signature, self._batching),
            stateful=model.stateful,
            recorded=recorded,
        )
        return ModelVersion(
            *resident.key,
            State.AVAILABLE,
            signatures=model.signatures,
            task=described.task,
            doubt=described.doubt,
            unbatched=unbatched,
            unservable=model.unservable,
            reference=await reference_in(source.folder, model.signatures),
            handle=held,
        )


@contextmanager
def _copied(trust: Trust, key: Key, folder: Path) -> Iterator[Path]:
    """Yields a checked copy of a version, and removes it afterwards."""
    with TemporaryDirectory(prefix="tensorgate-", ignore_cleanup_errors=True) as copy:
        trust.copy(key, folder, Path(copy), LoadProgress())
        yield Path(copy)


def _runner(options: BackendOptions) -> Runner:
    if options.isolation is None:
        return OwnProcess(runs=options.threads, threads=options.tensorflow_threads)
    return HelperRunner(
        runs=options.threads,
        threads=options.tensorflow_threads,
        silence=options.isolation.silence,
        restarted=options.isolation.restarted,
    )
