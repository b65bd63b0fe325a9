"""Runs models in a helper process, which may crash without the gateway: it is started again.

Runs and loads that were under way when the process ended are repeated once, each alone. The one that ends the process
again is the cause, and fails; the others succeed.
"""

import asyncio
import itertools
import logging
import math
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

from service.backends.savedmodel.disposal import Disposal
from service.backends.savedmodel.helper_process import HelperProcess
from service.backends.savedmodel.loading import Recorded
from service.backends.savedmodel.remote_model import RemoteModel
from service.backends.savedmodel.run_threads import RunThreads
from service.backends.savedmodel.runners import HasModel, Holder, Model, Source, model_of
from service.backends.savedmodel.shared_lock import SharedLock
from service.core import native_output
from service.core.batch_policy import ShapeMode
from service.core.deadline import Deadline
from service.core.load_progress import LoadProgress
from service.core.model_version import ModelVersion
from service.core.tensors import Signature, Tensor
from service.errors import ErrorKind, GatewayError, RunEndedError

logger = logging.getLogger(__name__)

_START_SECONDS = 300.0
"""Time for importing TensorFlow, however slow the disk is."""
_LONGEST_PAUSE = 30.0
_HEALTHY_SECONDS = 60.0
"""Lifetime after which the next process is started at once."""

ResultT = TypeVar("ResultT")


class HelperRunner:
    """Keeps one helper process, and in it the models of all versions that are served.

    Args:
        runs: Maximum number of concurrent runs of one model.
        threads: Number of threads for one operation of TensorFlow.
        silence: Seconds without a heartbeat after which the process is killed.
        restarted: Called each time that a process has ended, with the reason: ``ended``, or ``silent``.
    """

    def __init__(self, *, runs: int, threads: int, silence: float, restarted: Callable[[str], None]) -> None:
        self._silence = silence
        self._restarted = restarted
        self._start_process = partial(HelperProcess, threads)
        self._runs = RunThreads(runs)
        self._disposal = Disposal()
        self._lock = SharedLock()  # of the process; open while there is one
        self._process: HelperProcess | None = None
        self._models: weakref.WeakValueDictionary[int, RemoteModel] = weakref.WeakValueDictionary()  # in their order
        self._numbers = itertools.count()
        self._supervising: asyncio.Task[None] | None = None

    async def start(self, holder: Callable[[], Holder]) -> None:
        """Starts a process, and another each time that one ends."""
        self._supervising = asyncio.create_task(self._supervise(holder))

    async def attempt(self, loading: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """Awaits what loads a version; once more, alone, if the process ends meanwhile."""
        await self._lock.acquire()
        try:
            return await loading()
        except RunEndedError:
            self._notice()
        finally:
            self._lock.release()
        await self._lock.acquire_exclusive()
        try:
            return await loading()
        except RunEndedError:
            self._notice()
            text = "the process that runs the models ended while it was loaded, and when that was tried again"
            raise GatewayError(ErrorKind.BACKEND_FAILED, text) from None
        finally:
            self._lock.release_exclusive()

    def load(
        self, source: Source, shapes: ShapeMode | None, progress: LoadProgress, *, ended: Callable[[], None]
    ) -> tuple[Model, Recorded]:
        """Loads a version; called within `attempt`."""
        if self._process is None:
            raise RunEndedError("there is no process that runs the models")
        model = RemoteModel(self._process, source, shapes, progress)
        self._models[next(self._numbers)] = model
        self._disposal.after(model, model.place.drop, ended)
        return model, model.take_recorded()

    async def run(
        self,
        version: ModelVersion,
        signature: Signature,
        inputs: Mapping[str, Tensor],
        deadline: Deadline,
        *,
        alone: bool = False,
    ) -> Mapping[str, Tensor]:
        """Runs in the helper process, once there is one; a run that has begun cannot be stopped by its deadline."""
        model = model_of(version)
        if alone or not self._lock.try_acquire():
            await self._acquire(deadline, exclusive=alone)
        try:
            return await self._runs.run(model, version.name, partial(model.run, signature, inputs))
        except RunEndedError:
            self._notice()
            if not alone:
                raise
            text = "the process that runs the models ended during the run, and when the run was tried again"
            raise GatewayError(ErrorKind.BACKEND_FAILED, text) from None
        finally:
            if alone:
                self._lock.release_exclusive()
            else:
                self._lock.release()

    async def close(self) -> None:
        """Ends the process, and waits until nothing is left of it."""
        self._lock.close()
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        self._runs.close()
        self._disposal.close()

    async def _acquire(self, deadline: Deadline, *, exclusive: bool) -> None:
        try:
            async with asyncio.timeout_at(None if deadline.at == math.inf else deadline.at):
                await (self._lock.acquire_exclusive() if exclusive else self._lock.acquire())
        except TimeoutError:
            raise deadline.timeout() from None

    def _notice(self) -> None:
        """Closes the lock if the process has ended: `_supervise` may see that only a moment later."""
        if self._process is not None and self._process.ended:
            self._lock.close()
            self._process = None

    async def _supervise(self, holder: Callable[[], Holder]) -> None:
        pause = 0.0
        while True:
            began = time.monotonic()
            try:
                await self._live(holder)
            except OSError as error:
                logger.error("the process that runs the models cannot be started: %s", error.strerror)
            except Exception:
                logger.exception("the process that runs the models is lost; another one is started")
            if time.monotonic() - began >= _HEALTHY_SECONDS:
                pause = 0.0
            if pause:
                logger.warning("the process that runs the models is started again in %g s", pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE) or 1.0

    async def _live(self, holder: Callable[[], Holder]) -> None:
        """Runs one process until it ends.

        Raises:
            OSError: When it cannot be started.
        """
        process = self._start_process()
        try:
            silent = await self._see_through(process, holder)
            holder().suspend()
        finally:
            self._lock.close()
            self._process = None
            how = await asyncio.to_thread(process.close)
        native_output.mark_end()
        why = f"gave no sign of life for {self._silence:g} s, and was ended" if silent else f"has ended ({how})"
        logger.error("the process %d, which runs the models, %s; another one is started", process.number, why)
        self._restarted("silent" if silent else "ended")

    async def _see_through(self, process: HelperProcess, holder: Callable[[], Holder]) -> bool:
        """Has the process serve until it ends; returns whether it was killed for want of a heartbeat."""
        watching = asyncio.create_task(process.watch(_START_SECONDS))
        try:
            answer, _ = await asyncio.to_thread(process.ask, "start")
            watching.cancel()
            watching = asyncio.create_task(process.watch(self._silence))
            logger.info("%s, in the process %d", answer["text"], process.number)
            await self._reload_all(process)
            self._process = process
            self._resume(holder())
            self._lock.open()
            return await watching
        except RunEndedError:
            return await watching
        except RuntimeError as error:
            logger.error("%s", error)
            return False
        finally:
            watching.cancel()

    async def _reload_all(self, process: HelperProcess) -> None:
        """Loads all models of the last process; nothing else runs meanwhile.

        Raises:
            RunEndedError: When the process ends; a model that ends it twice is broken.
        """
        models = [model for model in self._models.values() if not model.broken]
        for model in models:
            try:
                await asyncio.to_thread(model.reload, process)
            except RunEndedError:
                if model.suspected:
                    model.broken = "the process that runs the models ended each time that it was loaded"
                model.suspected = True
                raise
            except GatewayError as error:
                model.broken = error.message
            except RuntimeError as error:
                logger.error("%s", error)
                model.broken = "it could not be loaded again; the server's log says why"
        for model in models:
            model.suspected = False

    def _resume(self, holder: Holder) -> None:
        for version in holder.held():
            model = cast("RemoteModel | None", cast("HasModel", version.handle).model)
            if model is None:  # on standby: it is loaded when it is asked for
                holder.resume(replace(version, load_seconds=0.0))
            elif model.broken:
                holder.give_up(version, model.broken, as_it_is=model.suspected)
            else:
                holder.resume(replace(version, load_seconds=model.seconds))
