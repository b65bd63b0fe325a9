"""Serving as a process: from its start to the signal that ends it."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable

from service.app.lifecycle import Server
from service.app.settings import Settings, nearest_variables, unknown_variables

logger = logging.getLogger(__name__)

_SWITCH_SECONDS = 0.0005
"""How long a thread keeps the interpreter from others that want it. By default that is 5 ms: as long as a thread that
has just run a model would then wait for the event loop's, before anybody gets the answer."""
_YOUNG_OBJECTS = 10_000
"""New objects after which the collector looks for cycles among them; by default 700, those of a few requests."""


async def serve(settings: Settings, announce: Callable[[Server], None], warnings: Iterable[str] = ()) -> None:
    """Serves until SIGTERM or SIGINT, then drains; a second signal ends the drain. SIGHUP has it look for new models.

    Args:
        settings: All of them.
        announce: Called once, when the models are ready.
        warnings: What was to be said about the settings when they were read.

    Raises:
        BackendChoiceError: When there is no such backend.
        OSError: When an address cannot be had.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
    for warning in warnings:
        logger.warning("%s", warning)
    for name in unknown_variables(os.environ):
        logger.warning("%s is set, and is no setting%s", name, nearest_variables(name))
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def stop() -> None:
        if stopping.is_set() and task is not None:
            task.cancel()
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    async with Server(settings) as server:
        admin = f", operators on port {server.admin_port}" if server.admin_port else ""
        logger.info("listening: REST on port %d, gRPC on port %d%s", server.rest_port, server.grpc_port, admin)
        announcing = asyncio.create_task(_announce(server, announce))
        looking = asyncio.create_task(_look(server, hung_up))
        await stopping.wait()
        announcing.cancel()
        looking.cancel()
        logger.info("stopping, with %d requests in flight", server.admission.in_flight["requests"])
    with contextlib.suppress(asyncio.CancelledError):
        await announcing


async def _look(server: Server, hung_up: asyncio.Event) -> None:
    """Has the server look each time that the event is set; several signals at once are one."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        try:
            await server.look()
        except Exception:
            logger.exception("it could not be looked for new models")


async def _announce(server: Server, announce: Callable[[Server], None]) -> None:
    await server.ready()
    # What is there now stays: the collector need not look at a million objects of TensorFlow's again and again.
    gc.collect()
    gc.freeze()
    announce(server)
