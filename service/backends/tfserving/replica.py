"""One replica of TensorFlow Serving: its connection, its requests, what it serves, and how it is doing."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc import aio
from grpc_health.v1 import health_pb2

from service.backends.tfserving.breaker import Breaker
from service.backends.tfserving.failures import Failure, failure_of
from service.core.call import Deadline
from service.core.catalog import State
from service.core.replicas import ReplicaObserver, ReplicaState, ReplicaStatus
from service.errors import OK, ErrorKind
from service.wire import tensorflow_serving_pb2 as pb

Key = tuple[str, int]
"""Name and version of a model."""

_PREDICTION, _MODEL, _HEALTH = (
    "/tensorflow.serving.PredictionService/",
    "/tensorflow.serving.ModelService/",
    "/grpc.health.v1.Health/",
)
_LATE_SECONDS = 1.0
"""A request that was given up after less counts against nobody: its client was in a hurry."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What a replica says of a version."""

    state: State
    error: str = ""


class EjectedError(Exception):
    """The replica was left out while it worked on a request: another one is to be asked."""


class AttemptError(Exception):
    """The replica did not answer a request.

    Args:
        failure: What that means.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class Replica:
    """One replica.

    Args:
        name: Its gRPC target.
        connect: Makes a channel to a target.
        observer: Is told what happens to it.

    Attributes:
        versions: What it said of each version, last time that it answered; empty once that is long ago.
        health_unknown: Whether it has no health service.
        used: Number of the last request that it got; of two that are equally free, the one that was used earlier is.
    """

    def __init__(self, name: str, *, connect: Callable[[str], aio.Channel], observer: ReplicaObserver) -> None:
        self.name = name
        self.versions: Mapping[Key, VersionStatus] = {}
        self.health_unknown = False
        self.used = 0
        self._connect = connect
        self._observer = observer
        self._breaker = Breaker()
        self._answered = False
        self._willing = False
        self._attempts: set[_Attempt] = set()
        self._open()

    @property
    def state(self) -> ReplicaState:
        """Where it stands."""
        if self._breaker.opened is not None:
            return ReplicaState.EJECTED
        if not self._answered:
            return ReplicaState.CONNECTING
        return ReplicaState.SERVING if self._willing else ReplicaState.NOT_SERVING

    @property
    def in_flight(self) -> int:
        """How many requests it works on."""
        return len(self._attempts)

    def status(self) -> ReplicaStatus:
        """Returns how it stands, for those who look."""
        return ReplicaStatus(self.name, self.state, self.in_flight)

    def serves(self, key: Key) -> bool:
        """Tells whether the version was available there when it last answered."""
        status = self.versions.get(key)
        return status is not None and status.state is State.AVAILABLE

    def out_seconds(self) -> float:
        """Returns for how long it has been left out."""
        return self._breaker.open_seconds()

    async def predict(self, request: bytes, deadline: Deadline) -> pb.PredictResponse:
        """Sends a serialized ``PredictRequest``.

        Raises:
            AttemptError: When it did not answer.
            EjectedError: When it was left out meanwhile.
        """
        attempt = _Attempt(self._predict(request, timeout=_timeout(deadline)))
        self._attempts.add(attempt)
        began = time.perf_counter()
        code: str = ErrorKind.CANCELLED
        try:
            response: pb.PredictResponse = await attempt.call
            code = OK
            self._breaker.succeeded()
            return response
        except aio.AioRpcError as error:
            failure = failure_of(error)
            code = failure.error.kind
            self._blame(failure, time.perf_counter() - began)
            raise AttemptError(failure) from None
        except asyncio.CancelledError:
            if attempt.moved and not _is_cancelled():
                code = ErrorKind.BACKEND_UNAVAILABLE
                raise EjectedError from None
            seconds = time.perf_counter() - began
            if deadline.remaining() <= 0:
                code = ErrorKind.TIMEOUT
                self._blame(Failure(deadline.timeout(), faulty=True), seconds)
            raise
        finally:
            self._attempts.discard(attempt)
            self._observer.attempted(self.name, code, time.perf_counter() - began)

    async def ask(self, method: str, request: Message, answer: type[Any], *, seconds: float) -> Any:
        """Calls a method that is no inference: ``GetModelMetadata``, ``GetModelStatus``, ``HandleReloadConfigRequest``.

        Raises:
            AioRpcError: When it fails.
        """
        service = _PREDICTION if method == "GetModelMetadata" else _MODEL
        return await self._call(service + method, answer)(request.SerializeToString(), timeout=seconds)

    async def healthy(self, *, seconds: float) -> bool:
        """Asks its health service, if it has one.

        Raises:
            AioRpcError: When it does not answer.
        """
        if self.health_unknown:
            return True
        check = self._call(_HEALTH + "Check", health_pb2.HealthCheckResponse)
        try:
            answer = await check(health_pb2.HealthCheckRequest().SerializeToString(), timeout=seconds)
        except aio.AioRpcError as error:
            if error.code() not in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}:
                raise
            self.health_unknown = True
            return True
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def answered(self, *, willing: bool, versions: Mapping[Key, VersionStatus]) -> None:
        """Notes a good answer to a probe.

        Args:
            willing: Whether it takes requests.
            versions: What it says of the models.
        """
        self._answered = True
        self._willing = willing
        self.versions = versions
        self._breaker.probed()

    def unreachable(self, reason: str) -> None:
        """Leaves it out until it answers a probe."""
        if self._breaker.unreachable():
            self._observer.ejected(self.name, reason)

    def move(self) -> None:
        """Takes away the requests that it works on, for another replica to answer."""
        for attempt in self._attempts:
            attempt.moved = True
            attempt.call.cancel()

    def reconnect(self) -> None:
        """Connects anew: a connection across a network that was cut may stay silent for minutes."""
        if not self._attempts:
            old = self._channel
            self._open()
            _closing(old)

    def close(self) -> None:
        """Closes the connection."""
        _closing(self._channel)
        self._observer.left(self.name)

    def _open(self) -> None:
        self._channel = self._connect(self.name)
        self._predict = self._call(_PREDICTION + "Predict", pb.PredictResponse)

    def _call(self, path: str, answer: type[Any]) -> Any:
        return self._channel.unary_unary(path, request_serializer=None, response_deserializer=answer.FromString)

    def _blame(self, failure: Failure, seconds: float) -> None:
        if failure.unreachable:
            self.unreachable("failures")
        elif failure.faulty and (failure.error.kind is not ErrorKind.TIMEOUT or seconds >= _LATE_SECONDS):
            if self._breaker.failed():
                self._observer.ejected(self.name, "failures")
        elif not failure.faulty:
            self._breaker.succeeded()  # it answered; that the answer is no is not its fault


class _Attempt:
    """A request that a replica works on."""

    __slots__ = ("call", "moved")

    def __init__(self, call: Any) -> None:
        self.call = call
        self.moved = False


def _timeout(deadline: Deadline) -> float | None:
    remaining = deadline.remaining()
    if remaining <= 0:
        raise AttemptError(Failure(deadline.timeout()))
    return None if remaining == float("inf") else remaining


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


_closers: set[asyncio.Task[None]] = set()


def _closing(channel: aio.Channel) -> None:
    """Closes a channel behind the back of whoever goes on."""
    task = asyncio.ensure_future(channel.close())
    _closers.add(task)
    task.add_done_callback(_closers.discard)
