"""One replica of TensorFlow Serving: its connection, its requests, what it serves, and how it is doing."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from grpc import aio

from service.backends.tfserving.breaker import Breaker
from service.backends.tfserving.connection import CallError, Connection, is_cancelled, parsed
from service.backends.tfserving.failures import Failure, failure_of
from service.core.call import Deadline
from service.core.catalog import State
from service.core.replicas import ReplicaObserver, ReplicaState, ReplicaStatus
from service.errors import OK, ErrorKind
from service.wire import tensorflow_serving_pb2 as pb

logger = logging.getLogger(__name__)

Key = tuple[str, int]
"""Name and version of a model."""

_LATE_SECONDS = 5.0
"""A request that was given up after less counts against nobody: its client was in a hurry."""
_FIRST_REST, _LONGEST_REST = 0.05, 1.0
"""Seconds for which a replica that has no room is asked last; twice as many each time."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What a replica says of a version."""

    state: State
    error: str = ""


class EjectedError(Exception):
    """The replica was left out while it worked on a request: another one is to be asked."""


class Replica:
    """One replica.

    Args:
        name: Its gRPC target.
        connect: Makes a channel to a target.
        observer: Is told what happens to it.
        changed: Called when its state or its versions may have changed.

    Attributes:
        connection: To it.
        versions: What it said of each version, last time that it did.
        prepared: Whether it has been told what the others were; until then it gets no requests.
        used: Number of the last request that it got; of two that are equally free, the one that was used earlier is.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[str], aio.Channel],
        observer: ReplicaObserver,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.versions: Mapping[Key, VersionStatus] = {}
        self.prepared = True
        self.used = 0
        self.connection = Connection(name, connect)
        self._observer = observer
        self._changed = changed
        self._breaker = Breaker()
        self._answered = False
        self._willing = False
        self._rest = _FIRST_REST
        self._rests_until = 0.0
        self._attempts: set[Any] = set()

    @property
    def state(self) -> ReplicaState:
        """Where it stands."""
        if self._breaker.opened is not None:
            return ReplicaState.EJECTED
        if not self._answered:
            return ReplicaState.CONNECTING
        return ReplicaState.SERVING if self._willing and self.prepared else ReplicaState.NOT_SERVING

    @property
    def in_flight(self) -> int:
        """How many requests it works on."""
        return len(self._attempts)

    @property
    def rests(self) -> bool:
        """Whether it has just said that it has no room."""
        return self._rests_until > time.monotonic()

    def status(self) -> ReplicaStatus:
        """Returns how it stands, for those who look."""
        return ReplicaStatus(self.name, self.state, self.in_flight)

    def serves(self, key: Key) -> bool:
        """Tells whether the version was available there when it last answered."""
        status = self.versions.get(key)
        return status is not None and status.state is State.AVAILABLE

    def out_seconds(self) -> float:
        """Returns for how long it has not been reached; 0 when it answers, though it may be left out."""
        return self._breaker.unreachable_seconds()

    async def predict(self, request: bytes, deadline: Deadline, *, replaceable: bool = False) -> pb.PredictResponse:
        """Sends a serialized ``PredictRequest``.

        Args:
            request: The message.
            deadline: After which nobody waits.
            replaceable: Whether another replica could do the same, so that this one may be left out for its failures.

        Raises:
            CallError: When it did not answer, or not well.
            EjectedError: When it was left out meanwhile.
        """
        call = self.connection.predict(request, _timeout(deadline))
        self._attempts.add(call)
        began = time.perf_counter()
        code: str = ErrorKind.CANCELLED
        try:
            response: pb.PredictResponse = parsed(pb.PredictResponse, await call)
            code = OK
            self._succeeded()
            return response
        except aio.AioRpcError as error:
            failure = failure_of(error)
            code = failure.error.kind
            self._blame(failure, time.perf_counter() - began, replaceable=replaceable)
            raise CallError(failure) from None
        except CallError as error:
            code = error.failure.error.kind
            self._blame(error.failure, 0.0, replaceable=replaceable)
            raise
        except asyncio.CancelledError:
            if not is_cancelled():
                code = ErrorKind.BACKEND_UNAVAILABLE
                raise EjectedError from None
            if deadline.remaining() <= 0:
                code = ErrorKind.TIMEOUT
                failure = Failure(deadline.timeout(), faulty=True)
                self._blame(failure, time.perf_counter() - began, replaceable=replaceable)
            raise
        finally:
            self._attempts.discard(call)
            self._observer.attempted(self.name, code, time.perf_counter() - began)

    def answered(self, *, willing: bool) -> None:
        """Notes a good answer to a probe.

        Args:
            willing: Whether it takes requests.
        """
        self._answered = True
        self._willing = willing
        self._breaker.probed()
        self._changed()

    def tells(self, versions: Mapping[Key, VersionStatus]) -> None:
        """Notes what it says of the models."""
        self.versions = versions
        self._changed()

    def unreachable(self, reason: str) -> None:
        """Leaves it out until it answers a probe."""
        if self._breaker.unreachable():
            self._left_out(reason)

    def move(self) -> None:
        """Takes away the requests that it works on, for another replica to answer."""
        for call in self._attempts:
            call.cancel()

    def reconnect(self) -> None:
        """Connects anew: a connection across a network that was cut may stay silent for minutes."""
        if not self._attempts:
            self.connection.renew()

    async def close(self) -> None:
        """Closes the connection; what it still works on is lost."""
        await self.connection.close()
        await asyncio.gather(*(call.code() for call in self._attempts), return_exceptions=True)
        await asyncio.sleep(0)  # who waits for a call counts it before the replica is forgotten
        self._observer.left(self.name)

    def _succeeded(self) -> None:
        self._breaker.succeeded()
        self._rest = _FIRST_REST

    def _blame(self, failure: Failure, seconds: float, *, replaceable: bool) -> None:
        if failure.unreachable:
            self.unreachable("failures")
        elif failure.error.kind is ErrorKind.OVERLOADED:
            self._rests_until = time.monotonic() + self._rest
            self._rest = min(2 * self._rest, _LONGEST_REST)
        elif failure.faulty:
            in_time = failure.error.kind is ErrorKind.TIMEOUT and seconds < _LATE_SECONDS
            if replaceable and not in_time and self._breaker.failed():
                self._left_out("failures")
        else:
            self._succeeded()  # it answered; that the answer is no is not its fault

    def _left_out(self, reason: str) -> None:
        logger.warning("the replica %s gets no requests for now (%s)", self.name, reason)
        self._observer.ejected(self.name, reason)
        self._changed()


def _timeout(deadline: Deadline) -> float | None:
    remaining = deadline.remaining()
    if remaining <= 0:
        raise CallError(Failure(deadline.timeout()))
    return None if remaining == float("inf") else remaining
