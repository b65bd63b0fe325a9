"""The health checks of one replica: it is probed again and again, and ejected or let back in."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from service.backends.tfserving.configuration import Configuration
from service.backends.tfserving.probes import ProbeError, probe_health, probe_versions
from service.backends.tfserving.replica import Replica
from service.core.replicas import ReplicaState

logger = logging.getLogger(__name__)

_MAX_SILENT = 2
"""Probes in a row without any answer, after which a replica counts as gone: one may have come at a bad moment."""
_DRAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How a replica is checked, and what is called then.

    Attributes:
        interval: Seconds between two checks.
        timeout: Seconds for each answer.
        on_check: Called after each check.
        has_alternative: Returns whether other replicas could answer what this one works on.
        on_recovery: Called when it answers after it did not: it may have been restarted.
    """

    interval: float
    timeout: float
    on_check: Callable[[], None]
    has_alternative: Callable[[], bool]
    on_recovery: Callable[[Replica], None]


class HealthChecker:
    """Checks a replica from when it is added until it is removed.

    Args:
        replica: The one.
        configuration: Has the models to ask for, and the configuration that replicas are to have.
        options: How.
    """

    def __init__(self, replica: Replica, configuration: Configuration, options: CheckOptions) -> None:
        self._replica = replica
        self._configuration = configuration
        self._options = options
        self._silent = 0
        self._health: asyncio.Task[None] | None = None
        self._versions: asyncio.Task[None] | None = None
        self._configuring: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run())

    async def check(self) -> None:
        """Checks the replica, and waits for its report of versions; all who ask meanwhile share one check."""
        if self._versions is not None:
            await _shared(self._versions)  # it may have been asked for before what this check is to find out
        await _shared(self._started())
        if self._versions is not None:
            await _shared(self._versions)

    async def stop(self) -> None:
        """Stops checking."""
        tasks = [task for task in (self._task, self._health, self._versions, self._configuring) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Stops checking, lets the replica answer the requests that it has, and closes it.

        What it does not answer is cancelled, for others to answer.
        """
        await self.stop()
        replica = self._replica
        with contextlib.suppress(TimeoutError, ProbeError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                silent = 0
                while replica.in_flight:
                    try:
                        await probe_health(replica, self._configuration.names, seconds=self._options.timeout)
                        await asyncio.sleep(self._options.interval)
                    except ProbeError as error:
                        silent += 1
                        if not error.silent or silent == _MAX_SILENT:
                            raise
        replica.cancel_calls()
        await replica.close()

    def _started(self) -> asyncio.Task[None]:
        if self._health is None or self._health.done():
            self._health = asyncio.create_task(self._check_health())
        return self._health

    async def _run(self) -> None:
        while True:
            # After a silent probe the second one follows at once.
            await asyncio.sleep(0 if self._silent == 1 else self._options.interval)
            await _shared(self._started())

    async def _check_health(self) -> None:
        replica = self._replica
        before = replica.state
        away = before is ReplicaState.CONNECTING or replica.unreachable_seconds() > 0
        try:
            await probe_health(replica, self._configuration.names, seconds=self._options.timeout)
        except ProbeError as error:
            self._silent = self._silent + 1 if error.silent else _MAX_SILENT
            if self._silent >= _MAX_SILENT or before is ReplicaState.CONNECTING:
                self._lost(str(error))
        except Exception:
            logger.exception("the replica %s could not be checked", replica.name)
        else:
            self._silent = 0
            if away and replica.unreachable_seconds() == 0:
                self._recovered()
            if self._versions is None or self._versions.done():
                self._versions = asyncio.create_task(self._check_versions())
        self._options.on_check()

    async def _check_versions(self) -> None:
        try:
            await probe_versions(self._replica, self._configuration.names, seconds=self._options.timeout)
        except Exception:
            logger.exception("the versions of the replica %s could not be checked", self._replica.name)
        self._options.on_check()

    def _recovered(self) -> None:
        logger.info("the replica %s answers", self._replica.name)
        self._options.on_recovery(self._replica)
        if self._configuration.pushed and (self._configuring is None or self._configuring.done()):
            self._replica.configured = False
            self._configuring = asyncio.create_task(self._configure())

    async def _configure(self) -> None:
        try:
            await self._configuration.push_to(self._replica)
        finally:
            self._replica.configured = True
            self._options.on_check()

    def _lost(self, reason: str) -> None:
        """Ejects the replica; its requests are cancelled if others can answer them."""
        if not self._replica.unreachable_seconds():
            logger.warning("the replica %s does not answer: %s", self._replica.name, reason)
        self._replica.report_unreachable("probe")
        if self._options.has_alternative():
            self._replica.cancel_calls()
        self._replica.reconnect()


async def _shared(task: asyncio.Task[None]) -> None:
    """Waits for a task that others may wait for too: it goes on when this waiting is cancelled."""
    await asyncio.wait({task})
