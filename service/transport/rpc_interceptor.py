"""What happens to every gRPC call around its handler: id, place, deadline, errors, report."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from service.core import call as calls
from service.core.admission import Admission
from service.core.call import Call, Deadline
from service.core.offload import offloaded
from service.errors import OK, ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.transport import rpc_errors
from service.transport.limits import OTHER_METHOD, REQUEST_ID, Report, RequestLimits, request_id_of
from service.transport.rpc_service import RpcService

Context = aio.ServicerContext[Any, Any]

_INT32_MAX = 2**31 - 1
_OPERATIONS = "/grpc."
"""Health and reflection: neither logged nor counted nor limited."""


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
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}  # of methods that there are
        self._report = report

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Wraps the handler; a method that is unknown gets one that says so."""
        wrapped = self._wrapped.get(handler_call_details.method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        if handler_call_details.method.startswith(_OPERATIONS) or handler_call_details.method in self._quiet:
            return handler
        if handler is None:
            return grpc.stream_stream_rpc_method_handler(self._unknown(handler_call_details.method))
        method = handler_call_details.method.lstrip("/")
        wrapped = self._wrapped[handler_call_details.method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        # The handlers get bytes, and unary ones give bytes: what cannot be parsed, and what cannot be written, is to
        # have the same error as all else that is wrong.
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler))
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(
                self._stream(method, handler), response_serializer=handler.response_serializer
            )
        raise NotImplementedError(f"{method} is neither unary nor bidirectional. This is a bug.")

    def _unknown(self, method: str) -> Callable[..., Any]:
        service = method.lstrip("/").partition("/")[0]

        async def handle(stream: AsyncIterator[bytes], context: Context) -> None:
            outcome = _Outcome()
            async with self._called(OTHER_METHOD, context, outcome, service):
                raise GatewayError(
                    ErrorKind.NOT_FOUND, f"there is no method {shown(method)}; server reflection lists them"
                )
            await outcome.send(context)

        return handle

    def _unary(self, method: str, handler: Any) -> Callable[..., Any]:
        service = method.partition("/")[0]

        async def handle(data: bytes, context: Context) -> bytes | None:
            outcome = _Outcome()
            async with self._called(method, context, outcome, service) as call:
                outcome.answer = await self._answered(data, handler, context, call)
            # The library keeps an abort, whose traceback refers to this frame, until it is collected.
            del data
            return await outcome.send(context)

        return handle

    async def _answered(self, data: bytes, handler: Any, context: Context, call: Call) -> bytes:
        async with call.deadline.enforced():
            with self._admission.admitted(), self._admission.held() as held:
                held.take(len(data))
                call.hold = held.take
                with call.phase("decode"):
                    request = await offloaded(len(data), lambda: self._parsed(data, handler))
                answer = await handler.unary_unary(request, context)
                with call.phase("encode"):
                    return await offloaded(_answer_size(answer), lambda: bytes(handler.response_serializer(answer)))

    def _stream(self, method: str, handler: Any) -> Callable[..., Any]:
        service = method.partition("/")[0]

        async def handle(stream: AsyncIterator[bytes], context: Context) -> None:
            outcome = _Outcome()
            async with self._called(method, context, outcome, service) as call:
                await self._answered_stream(stream, handler, context, call)
            await outcome.send(context)

        return handle

    async def _answered_stream(self, stream: AsyncIterator[bytes], handler: Any, context: Context, call: Call) -> None:
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
    async def _called(self, method: str, context: Context, outcome: "_Outcome", service: str) -> AsyncIterator[Call]:
        """Makes the call and reports it; what the body raises becomes the outcome, and is to be sent after it."""
        metadata = dict(context.invocation_metadata() or ())
        seconds = _seconds_left(context)
        call = Call(
            protocol="grpc",
            method=method,
            request_id=request_id_of(metadata.get(REQUEST_ID)),
            deadline=self._limits.deadline(None if math.isinf(seconds) else seconds),
        )
        calls.enter(call)
        code: str = OK
        try:
            yield call
            context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        except asyncio.CancelledError:
            code = ErrorKind.TIMEOUT if call.deadline.remaining() <= 0 else ErrorKind.CANCELLED
            raise
        except Exception as raised:
            # The error is no variable here: its traceback refers to this frame, and would be a cycle with it that keeps
            # the request until it is collected.
            outcome.refusal = self._refusal(as_gateway_error(raised), call, service)
            code = outcome.refusal.kind
        finally:
            self._report(call, str(code))

    def _refusal(self, error: GatewayError, call: Call, service: str) -> "_Refusal":
        codes = self._codes.get(service, rpc_errors.CODE)
        status = rpc_errors.status(error, call.request_id, codes)
        metadata = ((REQUEST_ID, call.request_id), (rpc_errors.STATUS_DETAILS, status.SerializeToString()))
        return _Refusal(error.kind, codes[error.kind], status.message, metadata)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What is left of an error when it is sent."""

    kind: ErrorKind
    code: grpc.StatusCode
    message: str
    metadata: tuple[tuple[str, str | bytes], ...]


@dataclass(slots=True)
class _Outcome:
    """What came of a call."""

    answer: bytes | None = None
    refusal: _Refusal | None = None

    async def send(self, context: Context) -> bytes | None:
        """Returns the answer, or ends the call with what is wrong."""
        if self.refusal is not None:
            await context.abort(self.refusal.code, self.refusal.message, self.refusal.metadata)
        return self.answer


def _answer_size(answer: Message) -> int:
    """Returns how long the answer will be.

    Raises:
        GatewayError: TOO_LARGE when that is longer than a message can be.
    """
    size = answer.ByteSize()
    if size > _INT32_MAX:
        raise GatewayError(ErrorKind.TOO_LARGE, f"the answer is {size} bytes long, a message has at most {_INT32_MAX}")
    return size


def _seconds_left(context: aio.ServicerContext[Any, Any]) -> float:
    """Returns the seconds until the client's deadline; infinity when it has none."""
    remaining = context.time_remaining()
    return math.inf if remaining is None else remaining
