"""The gRPC server, and what happens to every call around its handler."""

import asyncio
import errno
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service.core import call as calls
from service.core.admission import Admission
from service.core.call import Call, Deadline
from service.errors import OK, ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.transport import rpc_errors
from service.transport.limits import OTHER_METHOD, REQUEST_ID, Report, RequestLimits, request_id_of

_INT32_MAX = 2**31 - 1
_OPERATIONS = "/grpc."
"""Health and reflection: neither logged nor counted nor limited."""
_LAST_WORDS_SECONDS = 0.2
"""For answers that are on their way when the server stops."""
_MAX_AGE_MS = 30 * 60 * 1000
"""Connections are renewed now and then, so that clients behind a balancer find new replicas."""


class CallInterceptor(aio.ServerInterceptor):
    """Gives each call its id, place and deadline, turns its errors into statuses, and reports it when it is over.

    Args:
        admission: Holds the places of requests in flight.
        limits: Of time.
        max_request_bytes: How long a message may be.
        report: Takes each finished call and its code.
    """

    def __init__(self, *, admission: Admission, limits: RequestLimits, max_request_bytes: int, report: Report) -> None:
        self._admission = admission
        self._limits = limits
        self._max_request_bytes = max_request_bytes
        self._report = report

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Wraps the handler; a method that is unknown gets one that says so."""
        handler = await continuation(handler_call_details)
        if handler_call_details.method.startswith(_OPERATIONS):
            return handler
        if handler is None:
            return grpc.stream_stream_rpc_method_handler(self._unknown(handler_call_details.method))
        # The handlers get bytes: what cannot be parsed is to have the same error as all else that is wrong.
        method = handler_call_details.method.lstrip("/")
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler), response_serializer=handler.response_serializer
            )
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(method, handler), response_serializer=handler.response_serializer
            )
        raise NotImplementedError(f"{method} is neither unary nor bidirectional. This is a bug.")

    def _unknown(self, method: str) -> Callable[..., Any]:
        async def handle(stream: AsyncIterator[bytes], context: aio.ServicerContext[Any, Any]) -> None:
            async with self._called(OTHER_METHOD, context):
                raise GatewayError(
                    ErrorKind.NOT_FOUND, f"there is no method {shown(method)}; server reflection lists them"
                )

        return handle

    def _unary(self, method: str, handler: Any) -> Callable[..., Any]:
        async def handle(data: bytes, context: aio.ServicerContext[Any, Any]) -> Any:
            async with self._called(method, context) as call, call.deadline.enforced():
                with self._admission.admitted(), self._admission.held() as held:
                    held.take(len(data))
                    with call.phase("decode"):
                        request = self._parsed(data, handler)
                    return await handler.unary_unary(request, context)

        return handle

    def _stream(self, method: str, handler: Any) -> Callable[..., Any]:
        async def handle(stream: AsyncIterator[bytes], context: aio.ServicerContext[Any, Any]) -> None:
            async with self._called(method, context) as call:
                # A stream lives as long as its client wants; its messages have deadlines of their own.
                if math.isinf(_seconds_left(context)):
                    call.deadline = Deadline(math.inf, math.inf)
                with self._admission.admitted("streams"), self._admission.held() as held:
                    sizes: deque[int] = deque()

                    async def requests() -> AsyncIterator[Any]:
                        async for data in stream:
                            held.take(len(data))
                            sizes.append(len(data))
                            yield self._parsed(data, handler)

                    # Answers come in the order of the requests: each gives back what its request held.
                    async for answer in handler.stream_stream(requests(), context):
                        await context.write(answer)
                        held.give_back(sizes.popleft())

        return handle

    def _parsed(self, data: bytes, handler: Any) -> Any:
        if len(data) > self._max_request_bytes:
            expected = f"at most {self._max_request_bytes} bytes (max_request_bytes)"
            raise invalid_input(Violation("body", expected, f"{len(data)} bytes"), kind=ErrorKind.TOO_LARGE)
        try:
            return handler.request_deserializer(data) if handler.request_deserializer else data
        except DecodeError:
            raise invalid_input(
                Violation("body", "a message of this method", f"{len(data)} other bytes"), kind=ErrorKind.MALFORMED
            ) from None

    @asynccontextmanager
    async def _called(self, method: str, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[Call]:
        metadata = dict(context.invocation_metadata() or ())
        seconds = _seconds_left(context)
        call = Call(
            protocol="grpc",
            method=method,
            request_id=request_id_of(metadata.get(REQUEST_ID)),
            deadline=self._limits.deadline(None if math.isinf(seconds) else seconds),
        )
        calls.enter(call)
        id_metadata = ((REQUEST_ID, call.request_id),)
        code: str = OK
        try:
            yield call
            context.set_trailing_metadata(id_metadata)
        except asyncio.CancelledError:
            code = ErrorKind.TIMEOUT if call.deadline.remaining() <= 0 else ErrorKind.CANCELLED
            raise
        except Exception as raised:
            error = as_gateway_error(raised)
            code = error.kind
            await _abort(context, error, call.request_id)
        finally:
            self._report(call, str(code))


def _seconds_left(context: aio.ServicerContext[Any, Any]) -> float:
    """Returns the seconds until the client's deadline; infinity when it has none."""
    remaining = context.time_remaining()
    return math.inf if remaining is None else remaining


async def _abort(context: aio.ServicerContext[Any, Any], error: GatewayError, request_id: str) -> None:
    details = rpc_errors.status(error, request_id).SerializeToString()
    metadata = ((REQUEST_ID, request_id), (rpc_errors.STATUS_DETAILS, details))
    await context.abort(rpc_errors.CODE[error.kind], error.message, metadata)


class RpcServer:
    """A gRPC server with health and reflection.

    Args:
        services: Full names of the services that `register` adds.
        register: Adds the servicers.
        interceptor: Wraps every call.
        max_request_bytes: How long a message may be.
    """

    def __init__(
        self,
        *,
        services: Sequence[str],
        register: Callable[[aio.Server], None],
        interceptor: CallInterceptor,
        max_request_bytes: int,
    ) -> None:
        self._services = ("", *services)
        self._server = aio.server(
            interceptors=[interceptor],
            options=[
                # The library's own refusal lacks all details, so it is left for what is far over the limit.
                ("grpc.max_receive_message_length", min(2 * max_request_bytes, _INT32_MAX)),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_connection_age_ms", _MAX_AGE_MS),
                # Otherwise a second server on the same port would share its calls, silently.
                ("grpc.so_reuseport", 0),
            ],
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        register(self._server)
        reflection.enable_server_reflection((*services, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)

    def listen(self, host: str, port: int) -> int:
        """Takes the address; returns the port, which the system chose if 0 was given.

        Raises:
            OSError: When the address cannot be had.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(
                errno.EADDRINUSE, f"cannot listen on {address} for gRPC, most likely as it is in use"
            ) from error

    async def start(self) -> None:
        """Begins to serve; not ready until `set_ready` says so."""
        await self.set_ready(False)
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """Answers health checks, for the server and for each service, accordingly."""
        response = health_pb2.HealthCheckResponse
        for service in self._services:
            await self._health.set(service, response.SERVING if ready else response.NOT_SERVING)

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left, such as a client's watch of the health service."""
        await self._server.stop(_LAST_WORDS_SECONDS)
