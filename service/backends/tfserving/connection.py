"""The connection to one replica: calls, and what their failures mean."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio
from grpc_health.v1 import health_pb2

from service.backends.tfserving.failures import Failure, lost, senseless

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
_MODEL = "/tensorflow.serving.ModelService/"
_HEALTH = "/grpc.health.v1.Health/Check"


class CallError(Exception):
    """The replica did not answer, or not well.

    Args:
        failure: What that means.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class Connection:
    """A gRPC connection that can be made anew.

    Args:
        target: Of the replica.
        connect: Makes a channel to a target.
    """

    def __init__(self, target: str, connect: Callable[[str], aio.Channel]) -> None:
        self._target = target
        self._connect = connect
        self._closing: set[asyncio.Task[None]] = set()
        self._open()

    def predict(self, request: bytes, seconds: float | None) -> Any:
        """Begins a call of ``Predict``; awaited, it gives the answer's bytes, and it can be cancelled."""
        return self._predict(request, timeout=seconds)

    async def ask(self, method: str, request: Message, answer: type[Any], *, seconds: float) -> Any:
        """Calls a method that is no inference: ``GetModelMetadata``, ``GetModelStatus``, ``HandleReloadConfigRequest``.

        Raises:
            AioRpcError: When it fails.
            CallError: When the connection is made anew meanwhile, or the answer cannot be parsed.
        """
        path = _METADATA if method == "GetModelMetadata" else _MODEL + method
        return await self._asked(path, request, answer, seconds)

    async def healthy(self, *, seconds: float) -> bool | None:
        """Asks the replica's health service; returns ``None`` when it has none.

        Raises:
            AioRpcError: When it does not answer.
            CallError: When the connection is made anew meanwhile, or the answer cannot be parsed.
        """
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await self._asked(_HEALTH, request, health_pb2.HealthCheckResponse, seconds)
        except aio.AioRpcError as error:
            if error.code() in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}:
                return None
            raise
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def renew(self) -> None:
        """Connects anew, and ends what is under way."""
        closing = asyncio.ensure_future(self._channel.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._open()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    def _open(self) -> None:
        self._channel = self._connect(self._target)
        self._predict: Any = self._channel.unary_unary(_PREDICT)

    async def _asked(self, path: str, request: Message, answer: type[Any], seconds: float) -> Any:
        call: Any = self._channel.unary_unary(path)
        try:
            data = await call(request.SerializeToString(), timeout=seconds)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise CallError(lost()) from None
        return parsed(answer, data)


def parsed(message: type[Any], data: bytes) -> Any:
    """Returns the message; the library itself would give nothing at all in place of one that cannot be parsed.

    Raises:
        CallError: When it cannot be parsed.
    """
    try:
        return message.FromString(data)
    except DecodeError:
        raise CallError(senseless(f"{len(data)} bytes that are no {message.DESCRIPTOR.name}")) from None


def is_cancelled() -> bool:
    """Tells whether a cancellation that was caught is the task's own, and not that of the call that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
