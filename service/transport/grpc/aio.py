"""The official gRPC server behind the same seam: ``grpcio`` takes bytes and gives bytes."""

import asyncio
import errno
from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from urllib.parse import unquote

import grpc
from grpc import aio

from service.core.admission import HeldBytes
from service.core.call import Call
from service.errors import ErrorKind, GatewayError
from service.transport.call import REQUEST_ID
from service.transport.grpc.aio_options import server_options
from service.transport.grpc.aio_tls import ServerCertificate, shown_certificate
from service.transport.grpc.calls import Bound, GrpcCalls, Refusal, Streaming, Unary
from service.transport.grpc.framing import not_one
from service.transport.tls import TlsMaterial

_LAST_WORDS_SECONDS = 0.2
"""How long answers that are on their way have when the server stops."""
_CANCELLATION_SECONDS = 0.1
"""How soon it is known why no more messages come: their end and a cancellation look the same at first."""
_STATUSES = {status.value[0]: status for status in grpc.StatusCode}

Context = aio.ServicerContext[Any, Any]


class AioServer:
    """Serves gRPC by ``grpc.aio``.

    Args:
        calls: The methods, and what a call means.
        max_request_bytes: How long a message may be.
        stall_timeout: Seconds after which a client is let go that does not read the answers of its stream.
        tls: What TLS is made of; without it none is spoken.
    """

    def __init__(
        self, calls: GrpcCalls, *, max_request_bytes: int, stall_timeout: float, tls: TlsMaterial | None = None
    ) -> None:
        shows = tls is not None and tls.client_ca is not None
        handlers = _Handlers(calls, stall_timeout, clients_show_certificates=shows)
        self._server = aio.server(handlers=[handlers], options=server_options(max_request_bytes))
        self._tls = None if tls is None else ServerCertificate(tls)

    def listen(self, host: str, port: int) -> int:
        """Takes the address; returns the port, which the system chose if 0 was given.

        Raises:
            OSError: When the address cannot be had.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if self._tls is not None:
                return self._server.add_secure_port(address, self._tls.credentials())
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(
                errno.EADDRINUSE, f"cannot listen on {address} for gRPC, most likely as it is in use"
            ) from error

    async def start(self) -> None:
        """Begins to serve."""
        await self._server.start()

    async def renew(self, tls: TlsMaterial) -> None:
        """Speaks TLS by this with whoever connects from now on; connections that there are go on."""
        if self._tls is not None:
            self._tls.renew(tls)

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left, such as a client's watch of the health service."""
        await self._server.stop(_LAST_WORDS_SECONDS)


class _Handlers(grpc.GenericRpcHandler):
    """Finds the handler of each call."""

    def __init__(self, calls: GrpcCalls, stall_timeout: float, *, clients_show_certificates: bool) -> None:
        self._calls = calls
        self._stall_timeout = stall_timeout
        self._clients_show_certificates = clients_show_certificates

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """Returns the handler of a method, also of one that there is not."""
        bound = self._calls.find(handler_call_details.method)

        if isinstance(bound, Unary):
            # As a stream of requests: else a client that sends none, or only the beginning of one, waits for ever.
            return grpc.stream_unary_rpc_method_handler(partial(self._unary, bound))
        return grpc.stream_stream_rpc_method_handler(partial(self._stream, bound))

    async def _unary(self, bound: Unary, messages: AsyncIterator[bytes], context: Context) -> bytes:
        call = self._call(bound, context)
        self._calls.set_timeout(call, bound, context.time_remaining())

        async def read(held: HeldBytes) -> bytes:
            request: bytes | None = None
            async for data in self._counted(messages, held):
                if request is not None:
                    raise not_one("more than one")
                request = data
            if request is None:
                # Where the client has cancelled the call, this is cancelled meanwhile.
                await asyncio.sleep(_CANCELLATION_SECONDS)
                raise not_one("none")
            return request

        answer = await self._calls.unary(bound, read, call)
        if isinstance(answer, Refusal):
            await context.abort(_STATUSES[answer.code], answer.message, answer.metadata)
        context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        return answer

    async def _stream(self, bound: Streaming, messages: AsyncIterator[bytes], context: Context) -> None:
        call = self._call(bound, context)
        self._calls.set_timeout(call, bound, context.time_remaining())

        async def write(answers: list[bytes]) -> None:
            try:
                for answer in answers:
                    async with asyncio.timeout(self._stall_timeout):
                        await context.write(answer)
            except (aio.BaseError, TimeoutError):
                raise GatewayError(ErrorKind.CANCELLED, "the client went away") from None

        failed = await self._calls.stream(bound, partial(self._counted, messages), write, call)
        if failed is not None:
            await context.abort(_STATUSES[failed.code], failed.message, failed.metadata)
        context.set_trailing_metadata(((REQUEST_ID, call.request_id),))

    def _call(self, bound: Bound, context: Context) -> Call:
        metadata = {name.encode(): _bytes(value) for name, value in context.invocation_metadata() or ()}
        call = self._calls.call(bound, metadata)
        call.peer = partial(_peer, context)
        if self._clients_show_certificates:
            call.certificate = shown_certificate(context)
        return call

    async def _counted(self, messages: AsyncIterator[bytes], held: HeldBytes) -> AsyncIterator[bytes]:
        async for data in messages:
            self._calls.check_size(len(data))
            held.take(len(data))
            yield data


def _peer(context: Context) -> str:
    """Returns who sent a call, as host and port: grpcio writes ``ipv4:127.0.0.1:5``, and ``ipv6:%5B::1%5D:5``."""
    return unquote(context.peer()).removeprefix("ipv4:").removeprefix("ipv6:")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")
