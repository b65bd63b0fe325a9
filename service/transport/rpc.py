"""The gRPC server, and what happens to every call around its handler."""

import asyncio
import errno
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service.core import call as calls
from service.core.admission import Admission
from service.core.call import Call, Deadline
from service.errors import OK, ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.transport import rpc_errors
from service.transport.limits import OTHER_METHOD, REQUEST_ID, Report, RequestLimits, request_id_of
from service.transport.reflection import reflection_pool
from service.transport.rpc_options import server_options

_OPERATIONS = "/grpc."
"""Health and reflection: neither logged nor counted nor limited."""
_LAST_WORDS_SECONDS = 0.2
"""For answers that are on their way when the server stops."""


@dataclass(frozen=True, slots=True)
class RpcService:
    """One service.

    Attributes:
        name: Its full name on the wire.
        servicer: Has a coroutine, or for streams an asynchronous generator, for each of its methods, under their names.
        descriptor: Describes it; its own name may be another.
        codes: Its table of errors.
        health_names: Further names by which clients ask after its health.
        quiet: Methods for probes: neither logged nor counted nor limited.
    """

    name: str
    servicer: object
    descriptor: ServiceDescriptor
    codes: rpc_errors.Codes = field(default_factory=lambda: rpc_errors.CODE)
    health_names: tuple[str, ...] = ()
    quiet: frozenset[str] = frozenset()

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """Returns the handlers of its methods, by name."""
        return {
            method.name: _handler(method, getattr(self.servicer, method.name)) for method in self.descriptor.methods
        }


def _handler(method: MethodDescriptor, behaviour: Callable[..., Any]) -> "grpc.RpcMethodHandler[Any, Any]":
    make = grpc.stream_stream_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        behaviour,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )


class CallInterceptor(aio.ServerInterceptor):
    """Gives each call its id, place and deadline, turns its errors into statuses, and reports it when it is over.

    Args:
        services: Of the server.
        admission: Holds the places of requests in flight.
        limits: Of time.
        max_request_bytes: How long a message may be.
        report: Takes each finished call and its code.
    """

    def __init__(
        self,
        *,
        services: Sequence[RpcService],
        admission: Admission,
        limits: RequestLimits,
        max_request_bytes: int,
        report: Report,
    ) -> None:
        self._codes = {service.name: service.codes for service in services}
        self._quiet = {f"/{service.name}/{method}" for service in services for method in service.quiet}
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
        if handler_call_details.method.startswith(_OPERATIONS) or handler_call_details.method in self._quiet:
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
            async with self._called(OTHER_METHOD, context, service=method.lstrip("/").partition("/")[0]):
                raise GatewayError(
                    ErrorKind.NOT_FOUND, f"there is no method {shown(method)}; server reflection lists them"
                )

        return handle

    def _unary(self, method: str, handler: Any) -> Callable[..., Any]:
        async def handle(data: bytes, context: aio.ServicerContext[Any, Any]) -> Any:
            async with self._called(method, context) as call, call.deadline.enforced():
                with self._admission.admitted(), self._admission.held() as held:
                    held.take(len(data))
                    call.hold = held.take
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
    async def _called(
        self, method: str, context: aio.ServicerContext[Any, Any], *, service: str = ""
    ) -> AsyncIterator[Call]:
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
            codes = self._codes.get(service or method.partition("/")[0], rpc_errors.CODE)
            await _abort(context, error, call.request_id, codes)
        finally:
            self._report(call, str(code))


def _seconds_left(context: aio.ServicerContext[Any, Any]) -> float:
    """Returns the seconds until the client's deadline; infinity when it has none."""
    remaining = context.time_remaining()
    return math.inf if remaining is None else remaining


async def _abort(
    context: aio.ServicerContext[Any, Any], error: GatewayError, request_id: str, codes: rpc_errors.Codes
) -> None:
    status = rpc_errors.status(error, request_id, codes)
    metadata = ((REQUEST_ID, request_id), (rpc_errors.STATUS_DETAILS, status.SerializeToString()))
    await context.abort(codes[error.kind], status.message, metadata)


class RpcServer:
    """A gRPC server with health and reflection.

    Args:
        services: What it serves.
        interceptor: Wraps every call.
        max_request_bytes: How long a message may be.
    """

    def __init__(self, *, services: Sequence[RpcService], interceptor: CallInterceptor, max_request_bytes: int) -> None:
        self._health_names = ["", *(name for service in services for name in (service.name, *service.health_names))]
        self._server = aio.server(
            interceptors=[interceptor],
            options=server_options(max_request_bytes),
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in services:
            self._server.add_registered_method_handlers(service.name, service.handlers())
        names = [service.name for service in services]
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME),
            self._server,
            pool=reflection_pool((service.name, service.descriptor) for service in services),
        )

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
        for name in self._health_names:
            await self._health.set(name, response.SERVING if ready else response.NOT_SERVING)

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left, such as a client's watch of the health service."""
        await self._server.stop(_LAST_WORDS_SECONDS)
