"""One replica of TensorFlow Serving: its requests, its versions and its health."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from grpc import aio

from service.backends.tfserving.breaker import BreakerState, CircuitBreaker
from service.backends.tfserving.connection import PREDICT, CallError, Connection, parsed, task_is_cancelled
from service.backends.tfserving.failures import Failure, failure_of
from service.core.deadline import Deadline
from service.core.model_version import State
from service.core.replicas import ReplicaObserver, ReplicaState, ReplicaStatus
from service.core.spans import current_run
from service.errors import OK, ErrorKind
from service.wire import tensorflow_serving_pb2 as pb

logger = logging.getLogger(__name__)

Key = tuple[str, int]
"""Name and version of a model."""

_LATE_SECONDS = 5.0
"""A request that was given up after less is not held against the replica: its client was in a hurry."""
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.05, 1.0
"""Seconds for which a replica that had no room is the last choice; twice as many each time."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What a replica reports of a version."""

    state: State
    error: str = ""


class EjectedError(Exception):
    """The replica was ejected while it worked on a request: another one is to be asked."""


class Replica:
    """One replica.

    Args:
        name: Its gRPC target.
        connect: Makes a channel to a target.
        observer: Gets reports of its requests and ejections.
        on_change: Called when its state or its versions may have changed.

    Attributes:
        connection: To it.
        versions: What it last reported of each version.
        outdated: Whether that is not what it has: before its first report, and once a version turned out to have left.
        configured: Whether it has the configuration that the others have; until then it gets no requests.
        last_used: Number of the last request that it got: of two that are equally free, the one used earlier is chosen.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[str], aio.Channel],
        observer: ReplicaObserver,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.versions: Mapping[Key, VersionStatus] = {}
        self.outdated = True
        self.configured = True
        self.last_used = 0
        self.connection = Connection(name, connect)
        self._observer = observer
        self._on_change = on_change
        self._breaker = CircuitBreaker()
        self._healthy: bool | None = None
        self._backoff = _FIRST_BACKOFF
        self._backs_off_until = 0.0
        self._calls: set[Any] = set()

    @property
    def state(self) -> ReplicaState:
        """Where it stands."""
        if self._breaker.state is BreakerState.OPEN:
            return ReplicaState.EJECTED
        if self._healthy is None:
            return ReplicaState.CONNECTING
        return ReplicaState.SERVING if self._healthy and self.configured else ReplicaState.NOT_SERVING

    @property
    def in_flight(self) -> int:
        """How many requests it works on."""
        return len(self._calls)

    @property
    def backing_off(self) -> bool:
        """Whether it has just refused a request for lack of room."""
        return self._backs_off_until > time.monotonic()

    def status(self) -> ReplicaStatus:
        """Returns a snapshot of it."""
        return ReplicaStatus(self.name, self.state, self.in_flight)

    def serves(self, key: Key) -> bool:
        """Returns whether the version was available there at its last report."""
        status = self.versions.get(key)
        return status is not None and status.state is State.AVAILABLE

    def unreachable_seconds(self) -> float:
        """Returns for how long it has not been reached; 0 when it answers, even if it is ejected."""
        return self._breaker.unreachable_seconds()

    async def predict(self, request: bytes, deadline: Deadline, *, replaceable: bool = False) -> pb.PredictResponse:
        """Sends a serialized ``PredictRequest``.

        Args:
            request: The message.
            deadline: After which nobody waits.
            replaceable: Whether another replica could do the same, so that this one may be ejected for its failures.

        Raises:
            CallError: When it did not answer, or not well.
            EjectedError: When it was ejected meanwhile.
        """
        timeout = _timeout(deadline)
        run = current_run()
        attempt = None if run is None else run.attempt(PREDICT, self.name)
        call = self.connection.predict(request, timeout, None if attempt is None else attempt.metadata)
        self._calls.add(call)
        began = time.perf_counter()
        code: str = ErrorKind.CANCELLED
        try:
            response: pb.PredictResponse = parsed(pb.PredictResponse, await call)
            code = OK
            self._record_success()
            return response
        except aio.AioRpcError as error:
            failure = failure_of(error, connected=self.connection.connected)
            code = failure.error.kind
            self._record_failure(failure, time.perf_counter() - began, replaceable=replaceable)
            raise CallError(failure) from None
        except CallError as error:
            code = error.failure.error.kind
            self._record_failure(error.failure, 0.0, replaceable=replaceable)
            raise
        except asyncio.CancelledError:
            if not task_is_cancelled():
                code = ErrorKind.BACKEND_UNAVAILABLE
                raise EjectedError from None
            if deadline.has_passed:
                code = ErrorKind.TIMEOUT
                failure = Failure(deadline.timeout(), faulty=True)
                self._record_failure(failure, time.perf_counter() - began, replaceable=replaceable)
            raise
        finally:
            self._calls.discard(call)
            self._observer.attempted(self.name, code, time.perf_counter() - began)
            if attempt is not None:
                attempt.end(code)

    def report_health(self, *, serving: bool) -> None:
        """Takes the replica's answer to a probe.

        Args:
            serving: Whether it takes requests.
        """
        self._healthy = serving
        self._breaker.record_probe()
        self._on_change()

    def report_versions(self, versions: Mapping[Key, VersionStatus]) -> None:
        """Takes the states of all versions that it has."""
        self.versions, self.outdated = versions, False
        self._on_change()

    def report_missing(self, key: Key) -> None:
        """Takes note that it does not have a version any more; what it has instead is known after the next report."""
        self.versions = {other: status for other, status in self.versions.items() if other != key}
        self.outdated = True
        self._on_change()

    def report_unreachable(self, reason: str) -> None:
        """Ejects it until it answers a probe."""
        if self._breaker.record_unreachable():
            self._ejected(reason)

    def cancel_calls(self) -> None:
        """Cancels the requests that it works on, for other replicas to answer."""
        for call in self._calls:
            call.cancel()

    def reconnect(self) -> None:
        """Connects anew: a connection across a network that was cut may stay silent for minutes."""
        if not self._calls:
            self.connection.renew()

    async def close(self) -> None:
        """Closes the connection; requests that it still works on fail."""
        await self.connection.close()
        await asyncio.gather(*(call.code() for call in self._calls), return_exceptions=True)
        await asyncio.sleep(0)  # who waits for a call reports it before the replica is forgotten
        self._observer.left(self.name)

    def _record_success(self) -> None:
        self._breaker.record_success()
        self._backoff = _FIRST_BACKOFF

    def _record_failure(self, failure: Failure, seconds: float, *, replaceable: bool) -> None:
        if failure.unreachable:
            self.report_unreachable("failures")
        elif failure.error.kind is ErrorKind.OVERLOADED:
            self._backs_off_until = time.monotonic() + self._backoff
            self._backoff = min(2 * self._backoff, _LONGEST_BACKOFF)
        elif failure.faulty:
            hurried = failure.error.kind is ErrorKind.TIMEOUT and seconds < _LATE_SECONDS
            if replaceable and not hurried and self._breaker.record_failure():
                self._ejected("failures")
        else:
            self._record_success()  # it answered; that the answer is no is not its fault

    def _ejected(self, reason: str) -> None:
        logger.warning("the replica %s is ejected: it gets no requests for now (%s)", self.name, reason)
        self._observer.ejected(self.name, reason)
        self._on_change()


def _timeout(deadline: Deadline) -> float | None:
    remaining = deadline.remaining()
    if remaining <= 0:
        raise CallError(Failure(deadline.timeout()))
    return None if remaining == float("inf") else remaining
