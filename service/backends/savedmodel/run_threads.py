"""The threads on which models run: each model has its own, so that none waits for a run of another."""

import asyncio
import logging
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

_WORTH_TELLING_SECONDS = 1.0

Result = TypeVar("Result")


class RunThreads:
    """Runs models. A run that is cancelled goes on, as it cannot be stopped: it keeps a thread, but no place.

    Args:
        count: Maximum number of concurrent runs of one model; as many cancelled ones may go on beside them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._threads: weakref.WeakKeyDictionary[object, _Threads] = weakref.WeakKeyDictionary()

    async def run(self, model: object, name: str, work: Callable[[], Result]) -> Result:
        """Does the work on the next free thread of the model.

        Args:
            model: Has its own threads, which start when they are needed, and end with it.
            name: Name of the model.
            work: The run.

        Raises:
            GatewayError: OVERLOADED when too many cancelled runs of the model still go on.
        """
        threads = self._threads.get(model)
        if threads is None:
            threads = self._threads[model] = _Threads(self._count, name)
        return await threads.run(work)

    def close(self) -> None:
        """Cancels the runs that have not begun."""
        for threads in self._threads.values():
            threads.pool.shutdown(wait=False, cancel_futures=True)


class _Threads:
    """The threads of one model."""

    def __init__(self, count: int, name: str) -> None:
        self.pool = ThreadPoolExecutor(2 * count, thread_name_prefix="run")
        self._count = count
        self._name = name
        self._places = asyncio.Semaphore(count)
        self._left = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        if self._left >= self._count:
            text = f"{self._left} runs of model {self._name!r} go on that nobody waits for any more"
            raise GatewayError(ErrorKind.OVERLOADED, text)
        async with self._places:
            running = self.pool.submit(work)
            try:
                return await asyncio.wrap_future(running)
            except asyncio.CancelledError:
                if running.running():
                    self._leave(running)
                raise

    def _leave(self, running: Future[Any]) -> None:
        """Counts a cancelled run until it ends."""
        loop, since = asyncio.get_running_loop(), time.monotonic()
        self._left += 1

        def end() -> None:
            self._left -= 1
            if (seconds := time.monotonic() - since) > _WORTH_TELLING_SECONDS:
                text = "a run of model %s went on for %.1f s after nobody waited for it any more"
                logger.warning(text, self._name, seconds)

        def ended(_: Future[Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(end)

        running.add_done_callback(ended)
