"""The watch over one replica: looks at it again and again, and draws the consequences."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from service.backends.tfserving.configuring import Configuring
from service.backends.tfserving.probing import ProbeError, probe_health, probe_versions
from service.backends.tfserving.replica import Replica
from service.core.replicas import ReplicaState

logger = logging.getLogger(__name__)

_SILENCES = 2
"""Probes in a row without any answer, after which a replica is taken to be gone: one may have come at a bad moment."""
_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Looks:
    """How a replica is looked at, and who is told.

    Attributes:
        seconds: Between two looks.
        timeout: Seconds for each answer.
        looked: Called after each look.
        replaceable: Tells whether others could answer what this one works on.
        returned: Called when it answers again, after it did not: it may have been started anew.
    """

    seconds: float
    timeout: float
    looked: Callable[[], None]
    replaceable: Callable[[], bool]
    returned: Callable[[Replica], None]


class Watch:
    """Watches a replica from its coming to its end.

    Args:
        replica: The one.
        configuring: Knows the models to ask for, and what replicas are to be told.
        looks: How.
    """

    def __init__(self, replica: Replica, configuring: Configuring, looks: Looks) -> None:
        self._replica = replica
        self._configuring = configuring
        self._looks = looks
        self._silences = 0
        self._look: asyncio.Task[None] | None = None
        self._learning: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run())

    async def look(self) -> None:
        """Looks at the replica, and waits until it has told what it serves; all who ask meanwhile share one look."""
        await _shared(self._begun())
        if self._learning is not None:
            await _shared(self._learning)

    async def end(self) -> None:
        """Stops watching."""
        tasks = [task for task in (self._task, self._look, self._learning, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def see_off(self) -> None:
        """Stops watching; the replica may answer the requests that it has, and where it does not, others do."""
        await self.end()
        replica = self._replica
        with contextlib.suppress(TimeoutError, ProbeError):
            async with asyncio.timeout(_GRACE_SECONDS):
                silences = 0
                while replica.in_flight:
                    try:
                        await probe_health(replica, self._configuring.names, seconds=self._looks.timeout)
                        await asyncio.sleep(self._looks.seconds)
                    except ProbeError as error:
                        silences += 1
                        if not error.silent or silences == _SILENCES:
                            raise
        replica.move()
        await replica.close()

    def _begun(self) -> asyncio.Task[None]:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_once())
        return self._look

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0 if self._silences == 1 else self._looks.seconds)  # the second look comes at once
            await _shared(self._begun())

    async def _look_once(self) -> None:
        replica = self._replica
        before = replica.state
        away = before is ReplicaState.CONNECTING or replica.out_seconds() > 0
        try:
            await probe_health(replica, self._configuring.names, seconds=self._looks.timeout)
        except ProbeError as error:
            self._silences = self._silences + 1 if error.silent else _SILENCES
            if self._silences >= _SILENCES or before is ReplicaState.CONNECTING:
                self._out(str(error))
        except Exception:
            logger.exception("the replica %s could not be looked at", replica.name)
        else:
            self._silences = 0
            if away and replica.out_seconds() == 0:
                self._back()
            if self._learning is None or self._learning.done():
                self._learning = asyncio.create_task(self._learn())
        self._looks.looked()

    async def _learn(self) -> None:
        try:
            await probe_versions(self._replica, self._configuring.names, seconds=self._looks.timeout)
        except Exception:
            logger.exception("what the replica %s serves could not be found out", self._replica.name)
        self._looks.looked()

    def _back(self) -> None:
        logger.info("the replica %s answers", self._replica.name)
        self._looks.returned(self._replica)
        if self._configuring.told and (self._telling is None or self._telling.done()):
            self._replica.prepared = False
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            await self._configuring.repeat(self._replica)
        finally:
            self._replica.prepared = True
            self._looks.looked()

    def _out(self, reason: str) -> None:
        """Leaves the replica out, and has what it works on answered by others, where there are any."""
        if not self._replica.out_seconds():
            logger.warning("the replica %s does not answer: %s", self._replica.name, reason)
        self._replica.unreachable("probe")
        if self._looks.replaceable():
            self._replica.move()
        self._replica.reconnect()


async def _shared(task: asyncio.Task[None]) -> None:
    """Waits for a task that others may wait for too: it goes on when this waiting is cancelled."""
    await asyncio.wait({task})
