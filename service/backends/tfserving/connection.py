"""The gRPC connection to one replica: its options, its calls, and what their failures mean."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio
from grpc_health.v1 import health_pb2

from service.backends.registry import TfServingOptions
from service.backends.tfserving.failures import Failure, disconnected, invalid_answer
from service.core.spans import Metadata

PREDICT = "tensorflow.serving.PredictionService/Predict"
_METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
_MODEL = "/tensorflow.serving.ModelService/"
_HEALTH = "/grpc.health.v1.Health/Check"
_OPTIONS: list[tuple[str, int]] = [
    # The size of requests and answers is limited elsewhere: here either limit would only lose answers.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Each replica is a peer of its own: no connection is shared, no proxy stands between, no name configures it.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    # A replica that restarts is to be found again soon, under whatever address it has then.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    # No keep-alive pings: servers disconnect clients that ping more often than every five minutes, and the health
    # checks do the same work within seconds.
]


def channel_factory(settings: TfServingOptions) -> Callable[[str], aio.Channel]:
    """Returns a function that makes a channel to a gRPC target; the files for TLS are read once.

    Raises:
        OSError: When a file cannot be read, or is no PEM file.
    """
    if settings.ca is None:
        return lambda target: aio.insecure_channel(target, _OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(settings.ca),
        private_key=None if settings.key is None else _pem(settings.key),
        certificate_chain=None if settings.certificate is None else _pem(settings.certificate),
    )
    options: list[tuple[str, int | str]] = [*_OPTIONS]
    if settings.server_name:
        options.append(("grpc.ssl_target_name_override", settings.server_name))
    return lambda target: aio.secure_channel(target, credentials, options)


def _pem(file: Path) -> bytes:
    data = file.read_bytes()
    if b"-----BEGIN " not in data:  # gRPC would take it, and complain at every call
        raise OSError(errno.EINVAL, "it is no PEM file", str(file))
    return data


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

    @property
    def connected(self) -> bool:
        """Whether there is a connection at the moment."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY

    def predict(self, request: bytes, seconds: float | None, metadata: Metadata | None = None) -> Any:
        """Starts a call of ``Predict``: awaited, it gives the bytes of the answer; it can be cancelled."""
        return self._predict(request, timeout=seconds, metadata=metadata)

    async def call(self, method: str, request: Message, answer: type[Any], *, seconds: float) -> Any:
        """Calls any other method: ``GetModelMetadata``, ``GetModelStatus`` or ``HandleReloadConfigRequest``.

        Raises:
            AioRpcError: When it fails.
            CallError: When the connection is made anew meanwhile, or the answer cannot be parsed.
        """
        path = _METADATA if method == "GetModelMetadata" else _MODEL + method
        return await self._call(path, request, answer, seconds)

    async def check_health(self, *, seconds: float) -> bool | None:
        """Asks the replica's health service; returns ``None`` when it has none.

        Raises:
            AioRpcError: When it does not answer.
            CallError: When the connection is made anew meanwhile, or the answer cannot be parsed.
        """
        request = health_pb2.HealthCheckRequest()
        try:
            answer = await self._call(_HEALTH, request, health_pb2.HealthCheckResponse, seconds)
        except aio.AioRpcError as error:
            if error.code() in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.NOT_FOUND}:
                return None
            raise
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def renew(self) -> None:
        """Connects anew; calls that are under way end."""
        closing = asyncio.ensure_future(self._channel.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._open()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    def _open(self) -> None:
        self._channel = self._connect(self._target)
        self._predict: Any = self._channel.unary_unary(f"/{PREDICT}")

    async def _call(self, path: str, request: Message, answer: type[Any], seconds: float) -> Any:
        call: Any = self._channel.unary_unary(path)
        try:
            data = await call(request.SerializeToString(), timeout=seconds)
        except asyncio.CancelledError:
            if task_is_cancelled():
                raise
            raise CallError(disconnected()) from None
        return parsed(answer, data)


def parsed(message: type[Any], data: bytes) -> Any:
    """Returns the message; gRPC itself would give ``None`` in place of one that cannot be parsed.

    Raises:
        CallError: When it cannot be parsed.
    """
    try:
        return message.FromString(data)
    except DecodeError:
        raise CallError(invalid_answer(f"{len(data)} bytes that are no {message.DESCRIPTOR.name}")) from None


def task_is_cancelled() -> bool:
    """Returns whether a cancellation that was caught is the task's own, and not of the call that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
