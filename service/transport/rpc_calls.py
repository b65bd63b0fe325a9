"""What happens to every gRPC call around its handler: id, place, deadline, errors, report."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from service.core import call as calls
from service.core.admission import Admission
from service.core.call import Call, Deadline
from service.core.offload import INLINE_BYTES, offloaded
from service.core.outdated import answered_anew
from service.core.recurring import StreamedMessage
from service.errors import (
    OK,
    ErrorKind,
    GatewayError,
    OutdatedVersionError,
    Violation,
    as_gateway_error,
    invalid_input,
    shown,
)
from service.transport import rpc_errors
from service.transport.limits import OTHER_METHOD, REQUEST_ID, Report, RequestLimits, request_id_of
from service.transport.rpc_service import RpcService, Shortcut

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
            name: handler
            if name in service.quiet
            else self._wrapped(service.name, name, handler, service.shortcuts.get(name))
            for name, handler in service.handlers().items()
        }

    def unknown(self) -> grpc.GenericRpcHandler:
        """Returns the handler of all methods that there are not."""
        return _Unknown(self._unknown)

    def _wrapped(
        self, service: str, name: str, handler: Any, shortcut: Shortcut | None
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        # The handlers get bytes, and unary ones give bytes: what cannot be parsed, and what cannot be written, is to
        # have the same error as all else that is wrong.
        method = f"{service}/{name}"
        if handler.unary_unary:
            answer = partial(self._unary, handler, shortcut)
            return grpc.unary_unary_rpc_method_handler(self._reported(method, service, answer))
        return grpc.stream_stream_rpc_method_handler(
            self._reported(method, service, partial(self._stream, handler, shortcut)),
            response_serializer=handler.response_serializer,
        )

    def _unknown(self, method: str) -> Callable[..., Any]:
        async def refuse(stream: AsyncIterator[bytes], context: Context, call: Call) -> None:
            raise GatewayError(ErrorKind.NOT_FOUND, f"there is no method {shown(method)}; server reflection lists them")

        return self._reported(OTHER_METHOD, method.lstrip("/").partition("/")[0], refuse)

    def _reported(
        self, method: str, service: str, answer: Callable[[Any, Context, Call], Awaitable[bytes | None]]
    ) -> Callable[[Any, Context], Awaitable[bytes | None]]:
        """Returns a handler that makes the call, reports it when it is over, and says what is wrong when it fails."""

        async def handle(given: Any, context: Context) -> bytes | None:
            call = self._call(method, context)
            calls.enter(call)
            code: str = OK
            try:
                answered = await answer(given, context, call)
                context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
                return answered
            except asyncio.CancelledError:
                code = ErrorKind.TIMEOUT if call.deadline.remaining() <= 0 else ErrorKind.CANCELLED
                raise
            except Exception as error:
                refusal = self._refusal(as_gateway_error(error), call, service)
                code = refusal.kind
            finally:
                self._report(call, str(code))
            # Out here the error is forgotten. The library keeps an abort until it is collected, and its traceback
            # refers to this frame.
            del given
            await context.abort(refusal.code, refusal.message, refusal.metadata)
            return None

        return handle

    async def _unary(self, handler: Any, shortcut: Shortcut | None, data: bytes, context: Context, call: Call) -> bytes:
        with call.deadline.enforced(), self._admission.admitted(), self._admission.held() as held:
            held.take(len(data))
            call.hold = held.take
            if shortcut is not None and len(data) <= INLINE_BYTES:
                if (known := shortcut.find(data)) is not None:
                    with suppress(OutdatedVersionError):  # the long way finds out which version answers now
                        answered = await shortcut.answer(known, data, call)
                        _check_size(len(answered))
                        return answered
                call.message = data
            with call.phase("decode"):
                if len(data) <= INLINE_BYTES:
                    request = self._parsed(data, handler)
                else:
                    request = await offloaded(len(data), lambda: self._parsed(data, handler))
            answer = await answered_anew(lambda: handler.unary_unary(request, context))
            with call.phase("encode"):
                size = answer.ByteSize()
                _check_size(size)
                if size <= INLINE_BYTES:
                    return bytes(handler.response_serializer(answer))
                return await offloaded(size, lambda: bytes(handler.response_serializer(answer)))

    async def _stream(
        self, handler: Any, shortcut: Shortcut | None, stream: AsyncIterator[bytes], context: Context, call: Call
    ) -> None:
        # A stream lives as long as its client wants; its messages have deadlines of their own.
        if math.isinf(_seconds_left(context)):
            call.deadline = Deadline(math.inf, math.inf)
        with self._admission.admitted("streams"), self._admission.held() as held:
            sizes: deque[int] = deque()

            async def requests() -> AsyncIterator[Any]:
                async for data in stream:
                    held.take(len(data))
                    sizes.append(len(data))
                    if shortcut is None:
                        yield self._parsed(data, handler)
                    elif len(data) <= INLINE_BYTES and (known := shortcut.find(data)) is not None:
                        yield StreamedMessage(data, known)
                    else:
                        yield StreamedMessage(data, None, self._parsed(data, handler))

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

    def _call(self, method: str, context: Context) -> Call:
        metadata = dict(context.invocation_metadata() or ())
        seconds = _seconds_left(context)
        return Call(
            protocol="grpc",
            method=method,
            request_id=request_id_of(metadata.get(REQUEST_ID)),
            deadline=self._limits.deadline(None if math.isinf(seconds) else seconds),
        )

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


def _check_size(size: int) -> None:
    """Refuses an answer that is longer than a message can be.

    Raises:
        GatewayError: TOO_LARGE.
    """
    if size > _INT32_MAX:
        raise GatewayError(ErrorKind.TOO_LARGE, f"the answer is {size} bytes long, a message has at most {_INT32_MAX}")


def _seconds_left(context: aio.ServicerContext[Any, Any]) -> float:
    """Returns the seconds until the client's deadline; infinity when it has none."""
    remaining = context.time_remaining()
    return math.inf if remaining is None else remaining
