"""What happens to every gRPC call around its handler: id, place, deadline, errors, report."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from service.core import call as calls
from service.core.admission import Admission
from service.core.call import Call, Deadline
from service.core.offload import INLINE_BYTES, offloaded
from service.core.outdated import answered_anew
from service.errors import OK, ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.transport import rpc_errors
from service.transport.limits import OTHER_METHOD, REQUEST_ID, Report, RequestLimits, request_id_of
from service.transport.rpc_service import RpcService

Context = aio.ServicerContext[Any, Any]

_INT32_MAX = 2**31 - 1
_OPERATIONS = "/grpc."
"""Health and reflection: neither logged nor counted nor limited."""


class RpcCalls:
    """Gives each call its id, place and deadline, turns its errors into statuses, and reports it when it is over.

    It wraps the handlers themselves: an interceptor of the library costs every call a chain of coroutines.

    Args:
        admission: Holds the places of requests in flight.
        limits: Of time.
        max_request_bytes: How long a message may be.
        report: Takes each finished call and its code.
    """

    def __init__(self, *, admission: Admission, limits: RequestLimits, max_request_bytes: int, report: Report) -> None:
        self._codes: dict[str, rpc_errors.Codes] = {}
        self._admission = admission
        self._limits = limits
        self._max_request_bytes = max_request_bytes
        self._report = report

    def handlers(self, service: RpcService) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """Returns the handlers of a service's methods, wrapped; those for probes as they are."""
        self._codes[service.name] = service.codes
        return {
            name: handler if name in service.quiet else self._wrapped(f"{service.name}/{name}", handler)
            for name, handler in service.handlers().items()
        }

    def unknown(self) -> grpc.GenericRpcHandler:
        """Returns the handler of all methods that there are not."""
        return _Unknown(self._unknown)

    def _wrapped(self, method: str, handler: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        # The handlers get bytes, and unary ones give bytes: what cannot be parsed, and what cannot be written, is to
        # have the same error as all else that is wrong.
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler))
        return grpc.stream_stream_rpc_method_handler(
            self._stream(method, handler), response_serializer=handler.response_serializer
        )

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
                    if len(data) <= INLINE_BYTES:
                        request = self._parsed(data, handler)
                    else:
                        request = await offloaded(len(data), lambda: self._parsed(data, handler))
                answer = await answered_anew(lambda: handler.unary_unary(request, context))
                with call.phase("encode"):
                    size = _answer_size(answer)
                    if size <= INLINE_BYTES:
                        return bytes(handler.response_serializer(answer))
                    return await offloaded(size, lambda: bytes(handler.response_serializer(answer)))

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

    def _called(self, method: str, context: Context, outcome: "_Outcome", service: str) -> "_Called":
        """Returns what makes the call and reports it; what its body raises becomes the outcome, to be sent after it."""
        metadata = dict(context.invocation_metadata() or ())
        seconds = _seconds_left(context)
        call = Call(
            protocol="grpc",
            method=method,
            request_id=request_id_of(metadata.get(REQUEST_ID)),
            deadline=self._limits.deadline(None if math.isinf(seconds) else seconds),
        )
        refusal = partial(self._refusal, call=call, service=service)
        return _Called(call=call, context=context, outcome=outcome, refusal=refusal, report=self._report)

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
class _Called:
    """One call while it lasts; a class, and no generator, as every call passes it."""

    call: Call
    context: Context
    outcome: "_Outcome"
    refusal: Callable[[GatewayError], _Refusal]
    report: Report

    async def __aenter__(self) -> Call:
        calls.enter(self.call)
        return self.call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        code: str = OK
        if error is None:
            self.context.set_trailing_metadata(((REQUEST_ID, self.call.request_id),))
        elif isinstance(error, asyncio.CancelledError):
            code = ErrorKind.TIMEOUT if self.call.deadline.remaining() <= 0 else ErrorKind.CANCELLED
        elif isinstance(error, Exception):
            self.outcome.refusal = self.refusal(as_gateway_error(error))
            code = self.outcome.refusal.kind
        self.report(self.call, str(code))
        return self.outcome.refusal is not None


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


class _Unknown(grpc.GenericRpcHandler):
    """Answers every method that nobody else does."""

    def __init__(self, handle: Callable[[str], Callable[..., Any]]) -> None:
        self._handle = handle

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Returns a handler that says that there is no such method."""
        method = handler_call_details.method
        if method.startswith(_OPERATIONS):
            return None
        return grpc.stream_stream_rpc_method_handler(self._handle(method))


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
