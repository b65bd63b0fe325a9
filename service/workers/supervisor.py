"""The process above the workers: starts them, starts them again, stops them, and adds up what they tell.

It serves nothing itself, and imports nothing that does: neither gRPC nor Starlette nor NumPy.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Any

from service.settings import Settings, unknown_variables
from service.telemetry import logs
from service.workers.ports import Ports, reserved
from service.workers.process import WorkerProcess
from service.workers.scraping import SharedMetrics

logger = logging.getLogger(__name__)

_FAILED = 1
_CANNOT_START = 2
_INTERRUPTED = 130
_SNAPSHOT_SECONDS = 2.0
_YOUNG_SECONDS = 10.0
"""A worker that ends before this age is started again later each time."""
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
_OVERTIME_SECONDS = 10.0
"""After the time to drain in, for what comes after it."""
_AT_ONCE_SECONDS = 2.0


def supervise(settings: Settings) -> int:
    """Serves with several workers until SIGTERM or SIGINT; returns the exit status.

    Raises:
        OSError: When an address cannot be had.
    """
    logs.configure(level=settings.log_level, style=settings.log_format)
    for name in unknown_variables(os.environ):
        logger.warning("%s is set, and is no setting", name)
    return asyncio.run(Supervisor(settings).run())


class Supervisor:
    """Keeps as many workers as there are to be.

    Args:
        settings: All of them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = SharedMetrics()
        self._workers: set[WorkerProcess] = set()
        self._served: set[int] = set()
        self._announced = False
        self._stopping = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Serves until it is told to stop; returns the exit status.

        Raises:
            OSError: When an address cannot be had.
        """
        settings = self._settings
        with reserved(settings.host, rest=settings.rest_port, grpc=settings.grpc_port) as ports:
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self._signalled)
            looking = asyncio.create_task(self._keep_looking())
            await asyncio.gather(*(self._keep(number, ports) for number in range(settings.workers)))
            looking.cancel()
        return self._status

    async def _keep(self, number: int, ports: Ports) -> None:
        """Keeps one worker running."""
        pause = 0.0
        while not self._stopping.is_set():
            age, status, complaint = await self._live(number, ports)
            if self._stopping.is_set():
                return
            if status == _CANNOT_START and number not in self._served:
                self._give_up(complaint)
                return
            pause = 0.0 if age >= _YOUNG_SECONDS else min(max(2 * pause, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
            reason = complaint or (f"signal {-status}" if status < 0 else f"status {status}")
            logger.error("a worker ended (%s) and is started again in %g s", reason, pause, extra=_about(number))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            self._metrics.restarted()

    async def _live(self, number: int, ports: Ports) -> tuple[float, int, str]:
        """Runs a worker; returns its age when it ended, its exit status, and why it could not start if it said so."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            worker = WorkerProcess(number, self._answer)
            self._workers.add(worker)
            self._metrics.joined(worker.link)
            try:
                status = await worker.run(ports, again=number in self._served)
            finally:
                self._workers.discard(worker)
                self._metrics.left(worker.link)
        except OSError as error:  # too many processes, or too little memory for one more
            return 0.0, _FAILED, f"it could not be started: {error.strerror}"
        return clock() - began, status, worker.complaint

    async def _answer(self, worker: WorkerProcess, what: str, body: Any) -> Any:
        match what:
            case "scrape":
                await self._metrics.look(scraped=True)
                return self._metrics.told()
            case "serving":
                self._serves(worker.number, body)
            case "complaint":
                worker.complaint = body
        return None

    def _serves(self, number: int, announcement: str) -> None:
        self._served.add(number)
        if self._announced or len(self._served) < self._settings.workers:
            return
        self._announced = True
        with contextlib.suppress(OSError):  # nobody reads it: no reason not to serve
            sys.stdout.write(announcement)
            sys.stdout.flush()

    async def _keep_looking(self) -> None:
        """Looks at what the workers count, so that little is lost of one that ends without a word."""
        while True:
            await asyncio.sleep(_SNAPSHOT_SECONDS)
            await self._metrics.look(scraped=False)

    def _give_up(self, complaint: str) -> None:
        if self._status == 0:
            self._status = _CANNOT_START
            sys.stderr.write(f"tensorgate: {complaint or 'a worker could not start'}\n")
            self._stop()

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self._status = _INTERRUPTED
            asyncio.get_running_loop().call_later(_AT_ONCE_SECONDS, self._send, signal.SIGKILL)
            self._send(signal.SIGTERM)
        else:
            logger.info("stopping %d workers", len(self._workers))
            self._stop()

    def _stop(self) -> None:
        """Has all workers drain, and waits for them no longer than that takes."""
        self._stopping.set()
        limit = self._settings.drain_delay + self._settings.drain_timeout + _OVERTIME_SECONDS
        asyncio.get_running_loop().call_later(limit, self._kill)
        self._send(signal.SIGTERM)

    def _kill(self) -> None:
        for worker in self._workers:
            logger.error("a worker did not end in time", extra=_about(worker.number))
        self._status = self._status or _FAILED
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for worker in self._workers:
            worker.send(number)


def _about(number: int) -> dict[str, Any]:
    """Returns what makes a log entry one about that worker."""
    return {"fields": {"worker": number}}
