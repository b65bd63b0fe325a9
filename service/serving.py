"""Serving as a process: from its start to the signal that ends it."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from service.runtime import Runtime
from service.settings import Settings, unknown_variables
from service.telemetry import logs
from service.workers.worker import Worker

logger = logging.getLogger(__name__)

_SWITCH_SECONDS = 0.0005
"""How long a thread keeps the interpreter from others that want it. By default that is 5 ms: as long as a thread that
has just run a model would then wait for the event loop's, before anybody gets the answer."""
_ALONE_SECONDS = 10.0
"""After so long without its models, a worker that was started again listens all the same: there may be no other."""


async def serve(
    settings: Settings, announce: Callable[[Runtime], Awaitable[None]], worker: Worker | None = None
) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the drain.

    Args:
        settings: All of them.
        announce: Called once, when the models are ready.
        worker: This process as one of several that serve together, if it is; it also drains when their supervisor is
            gone.

    Raises:
        BackendChoiceError: When there is no such backend.
        OSError: When an address cannot be had.
    """
    logs.configure(
        level=settings.log_level, style=settings.log_format, worker=None if worker is None else worker.number
    )
    sys.setswitchinterval(_SWITCH_SECONDS)
    for name in unknown_variables(os.environ) if worker is None else ():
        logger.warning("%s is set, and is no setting", name)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and task is not None:
            task.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    runtime = Runtime(settings, worker)
    attending = None if worker is None else asyncio.create_task(worker.attend(runtime.collect, stop))
    if worker is not None and worker.again:  # who listens gets connections, and the others can answer them
        runtime.begin()
        await _first(runtime.ready(), stopping.wait(), seconds=_ALONE_SECONDS)
    async with runtime:
        logger.info("listening: REST on port %d, gRPC on port %d", runtime.rest_port, runtime.grpc_port)
        announcing = asyncio.create_task(_announce(runtime, announce))
        await stopping.wait()
        announcing.cancel()
        logger.info("stopping, with %d requests in flight", runtime.admission.in_flight["requests"])
    if attending is not None:
        attending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await announcing


async def _first(*events: Coroutine[Any, Any, object], seconds: float) -> None:
    """Waits for the first of them, and no longer than that."""
    tasks = [asyncio.create_task(event) for event in events]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _announce(runtime: Runtime, announce: Callable[[Runtime], Awaitable[None]]) -> None:
    await runtime.ready()
    await announce(runtime)
