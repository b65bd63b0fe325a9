"""gRPC and gRPC-Web as an ASGI application; h2corn carries the first over HTTP/2, any server the second."""

import math
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from service.core.admission import HeldBytes
from service.core.call import Call
from service.core.rights import Access
from service.errors import ErrorKind, GatewayError
from service.seam import statuses
from service.transport.call import REQUEST_ID
from service.transport.cross_site import SitePolicy
from service.transport.grpc.calls import GrpcCalls, Streaming, Unary, refusing
from service.transport.grpc.framing import MessageReader, Receive, answer_encoding
from service.transport.grpc.metadata import timeout_of, trailers_of
from service.transport.grpc.writers import NativeWriter, Pairs, Send, WebWriter, Writer, from_base64
from service.transport.tls import CERTIFICATE

Scope = MutableMapping[str, Any]

NATIVE = b"application/grpc"
WEB = b"application/grpc-web"
_WEB_TEXT = b"application/grpc-web-text"

_REQUEST_ID = REQUEST_ID.encode()
_NEEDS = (
    "gRPC needs HTTP/2 with the header te: trailers, and this came without; a proxy on the way may speak HTTP/1.1 to "
    "the server; gRPC-Web goes over both"
)


class GrpcApp:
    """Answers gRPC and gRPC-Web.

    Args:
        calls: The methods, and what a call means.
        sites: Refuses what browsers send for other sites' pages.
    """

    def __init__(self, calls: GrpcCalls, sites: SitePolicy) -> None:
        self._calls = calls
        self._sites = sites

    async def answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        """Answers one call.

        Args:
            scope: The request's.
            headers: The first of its headers of each name.
            receive: Gives the events of the request's body.
            send: Takes those of the response.
        """
        encoding = headers.get(b"grpc-encoding", b"").decode("latin-1")
        writer, receive = _carried(headers, encoding, receive, send)
        calls = self._calls
        bound = calls.find(scope["path"])
        call = calls.call(bound, headers)
        call.peer, call.certificate = scope.get("client"), scope.get(CERTIFICATE)
        reader = MessageReader(receive, encoding=encoding, limit=calls.max_request_bytes)
        with suppress(OSError):  # the client went away; what came of its call is reported
            try:
                self._sites.check(scope["method"], headers)
                timeout = timeout_of(headers.get(b"grpc-timeout"))
                if timeout is None and isinstance(writer, WebWriter) and isinstance(bound, Streaming):
                    timeout = math.inf  # as long as any call may take: nothing tells that a client of HTTP/1.1 is gone
                calls.set_timeout(call, bound, timeout)
            except GatewayError as error:
                await self._refuse(refusing(error, bound.codes, call.access), call, receive, writer)
                return
            if isinstance(bound, Unary):
                answer = await calls.unary(bound, reader.only, call)
                if isinstance(answer, bytes):
                    await writer.only(answer, _trailers(call))
                else:
                    await writer.end(trailers_of(answer))
            else:
                failed = await calls.stream(bound, reader.all, writer.write, call)
                await writer.end(_trailers(call) if failed is None else trailers_of(failed))

    async def refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a call that came without what gRPC needs, in gRPC's words: its client may be behind a proxy."""
        refused = refusing(GatewayError(ErrorKind.NOT_SUPPORTED, _NEEDS), statuses.GRPC, Access.PUBLIC)
        call = self._calls.call(refused, {})
        call.peer = scope.get("client")
        with suppress(OSError):
            await self._refuse(refused, call, receive, NativeWriter(send, ""))

    async def _refuse(self, refused: Unary, call: Call, receive: Receive, writer: Writer) -> None:
        async def read(held: HeldBytes) -> bytes:
            await receive()  # with a body that nobody read, a connection of HTTP/1.1 may end before its answer is there
            return b""

        answer = await self._calls.unary(refused, read, call)
        if not isinstance(answer, bytes):
            await writer.end(trailers_of(answer))


def _carried(headers: Mapping[bytes, bytes], encoding: str, receive: Receive, send: Send) -> tuple[Writer, Receive]:
    """Returns what sends the answers, and what gives the events of the body, as the content type asks for."""
    content_type = headers[b"content-type"]
    if content_type[: len(WEB)].lower() != WEB:
        accepted = headers.get(b"grpc-accept-encoding", b"").decode("latin-1") if encoding else ""
        return NativeWriter(send, answer_encoding(encoding, accepted) if accepted else ""), receive
    media_type = content_type.partition(b";")[0].strip().lower()
    is_text = media_type.startswith(_WEB_TEXT)
    return WebWriter(send, media_type, is_text=is_text), from_base64(receive) if is_text else receive


def _trailers(call: Call) -> Pairs:
    return [(b"grpc-status", b"0"), (_REQUEST_ID, call.request_id.encode())]
