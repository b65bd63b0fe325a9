"""HTTP/1.1 as uvicorn speaks it, within bounds: of the size of a request's head, and of the time that it may take."""

import asyncio
import re
import ssl
from http import HTTPStatus
from typing import Any, cast

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import ErrorKind, GatewayError
from service.seam.problem import MEDIA_TYPE, problem
from service.transport.application import GONE, TASK
from service.transport.call import request_id_of
from service.transport.tls import CERTIFICATE, peer_certificate

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
"""For the first byte of a connection, for the head of each request, and for the rest of a body after its answer."""

_END = re.compile(rb"\r?\n\r?\n")
_UPGRADE = re.compile(rb"(\n)upgrade([ \t]*:)", re.IGNORECASE)
_LONGEST_END = 4
_OTHERS = {
    b"\x16\x03": "this port speaks HTTP/1.1 without TLS, and was spoken to with TLS",
    b"PRI * HTTP/2": "this port speaks HTTP/1.1, and was spoken to in HTTP/2: gRPC has a port of its own",
}
"""Answers to other protocols, by their first bytes: sent at once, as TLS has no end of a head."""
_FAREWELL_SECONDS = 1.0
"""How long an idle client has, when the server stops, to close a connection with TLS."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Holds the head of a request back until it is whole; refuses one that is too long or too slow.

    Args:
        stall_timeout: Seconds after which a client is let go that does not read its answer.
        given: What uvicorn gives its protocols.

    A request that offers another protocol (``Upgrade: h2c``, as some clients always do) is served as it is: the parser
    would take its body for that protocol, so it does not get to see the offer.
    """

    def __init__(self, stall_timeout: float, **given: Any) -> None:
        super().__init__(**given)
        self._stall_timeout = stall_timeout
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Starts to wait for the first request."""
        super().connection_made(transport)
        self._head = bytearray()
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        self._tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        shown = None if self._tls is None else self._tls.getpeercert(binary_form=True)
        self._certificate = None if shown is None else peer_certificate(ssl.DER_cert_to_PEM_cert(shown))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops waiting, and stops the work that nobody waits for any more."""
        self._stop_timer()
        self._stop_waiting_for_reader()
        cycle = self.cycle
        super().connection_lost(exc)
        if cycle is not None and not cycle.response_complete:
            scope: dict[str, Any] = cast("dict[str, Any]", cycle.scope)
            if (task := scope.get(TASK)) is not None:
                scope[GONE] = True
                task.cancel()

    def shutdown(self) -> None:
        """Ends the connection, once the request that is under way is answered."""
        super().shutdown()
        if self._tls is not None and (self.cycle is None or self.cycle.response_complete):
            # A client whose connection waits in a pool does not hear that it is to take leave.
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """Gives the client a while to read its answer, and then closes the connection."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """Stops waiting: the client reads."""
        self._stop_waiting_for_reader()
        super().resume_writing()

    def _wait_for_reader(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(self._stall_timeout, self._look_at_reader, left)

    def _look_at_reader(self, left: int) -> None:
        """Goes on waiting for a client that has read some of it meanwhile."""
        if self.transport.get_write_buffer_size() < left:
            self._wait_for_reader()
        else:
            self.transport.abort()

    def _stop_waiting_for_reader(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        """Passes on what the client sends, heads as a whole."""
        while data and self._in_head and not self.transport.is_closing():
            data = self._head_received(data)
        if data and not self.transport.is_closing():
            super().data_received(data)

    def _head_received(self, data: bytes) -> bytes:
        """Keeps or passes on what belongs to a head; returns what came after it."""
        self._unset_keepalive_if_required()
        searched = max(0, len(self._head) - _LONGEST_END)
        self._head += data
        if (other := next((said for start, said in _OTHERS.items() if self._head.startswith(start)), "")) != "":
            self._refuse(GatewayError(ErrorKind.MALFORMED, other), HTTPStatus.BAD_REQUEST)
            return b""
        end = _END.search(self._head, searched)
        if (end.end() if end else len(self._head)) > MAX_HEAD_BYTES:
            message = f"the request's line and headers are longer than {MAX_HEAD_BYTES} bytes"
            self._refuse(GatewayError(ErrorKind.TOO_LARGE, message), HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif end is not None:
            self._stop_timer()
            whole, self._head = bytes(self._head), bytearray()
            super().data_received(_UPGRADE.sub(rb"\1x-offer\2", whole[: end.end()]))
            return whole[end.end() :]
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        return b""

    def on_headers_complete(self) -> None:
        """Lets the body through as it comes."""
        self._in_head = False
        if self._certificate is not None:
            cast("dict[str, Any]", self.scope)[CERTIFICATE] = self._certificate
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Waits for the next head."""
        super().on_message_complete()
        self._in_head = True
        self._stop_timer()

    def on_response_complete(self) -> None:
        """Gives a client that was answered before its body's end a while to come to it, as many read only then."""
        if not (self._in_head or self.pipeline):
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP as everything else is answered, and closes."""
        self._refuse(GatewayError(ErrorKind.MALFORMED, "this is no valid HTTP/1.1 request"), HTTPStatus.BAD_REQUEST)

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse(
            GatewayError(ErrorKind.TIMEOUT, f"the request's headers did not come within {HEAD_SECONDS:g} s"),
            HTTPStatus.REQUEST_TIMEOUT,
        )

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: GatewayError, status: HTTPStatus) -> None:
        self._stop_timer()
        request_id = request_id_of(None)
        body: dict[str, Any] = problem(error, request_id) | {"status": int(status)}
        content = orjson.dumps(body)
        head = (
            f"HTTP/1.1 {int(status)} {status.phrase}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(content)}\r\nx-request-id: {request_id}\r\n"
            "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()
