"""h2corn, the HTTP/2 server of the gRPC port, in this process's own event loop.

What it does and does not do was tried on the release that the project pins; `docs/architecture.md` lists it.
"""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import h2corn
from starlette.types import ASGIApp

from service.core import native_output
from service.errors import ErrorKind, GatewayError
from service.transport.grpc.h2corn_tls import OpenRequests, WithCertificates
from service.transport.sockets import accepted, close_all, listen
from service.transport.stalls import StallLimit
from service.transport.tls import HANDSHAKE_SECONDS, TlsMaterial

_MAX_STREAMS = 1024
"""Calls of one connection at a time; clients keep the next ones back. More than are admitted by default."""
_STREAM_WINDOW, _CONNECTION_WINDOW = 1 << 20, 16 << 20
"""Bytes that a client may send ahead: one call whose body nobody reads is not to block the connection's others."""
_MAX_HEAD_BYTES = 64 * 1024
_KEEP_ALIVE_SECONDS = 3600.0
"""Clients keep gRPC connections open without calls; they look after them with pings."""
_THREADS = 1
"""Threads of h2corn's own. One carries ten times the calls that Python answers; a second only adds wake-ups."""
_LAST_WORDS_SECONDS = 1
"""How long answers that are on their way have when the server stops; what was in flight has ended by then."""
_BACKLOG_SECONDS = 0.1
_RENEWAL_SECONDS = 3600
"""How long calls may go on that are open when the certificate is renewed: their connection keeps the old one."""

_LINGERING_SECONDS = 1
"""For which connections that end then are kept from the reset that would lose what is on its way."""


@dataclass(frozen=True, slots=True)
class _Running:
    """One server of h2corn's, which has one certificate."""

    server: h2corn.Server
    serving: asyncio.Task[None]


class H2cornServer:
    """Serves an ASGI application over HTTP/2, and over HTTP/1.1 as well.

    Args:
        app: The application.
        services: Names of the gRPC services among what it answers.
        stall_timeout: Seconds after which a client is let go that does not read its answers.
        tls: What TLS is made of; without it none is spoken.
        purpose: What its address is for; for errors.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        services: Iterable[str],
        stall_timeout: float,
        tls: TlsMaterial | None = None,
        purpose: str = "gRPC",
    ) -> None:
        self._app: ASGIApp = StallLimit(app, stall_timeout)
        self._tls = tls
        self._purpose = purpose
        self._open: OpenRequests | None = None
        if tls is not None:
            self._app = self._open = OpenRequests(self._app if tls.client_ca is None else WithCertificates(self._app))
        self._stall_timeout = stall_timeout
        # How long a message may be and how long it may take to come is decided where calls are answered.
        self._policies = tuple(
            h2corn.RequestPolicy(
                path=f"/{name}/*",
                max_request_body_size=0,
                timeout_request_body_idle=0,
                h2_timeout_response_stall=stall_timeout,
            )
            for name in services
        )
        self._sockets: list[socket.socket] = []
        self._leaving: set[asyncio.Task[None]] = set()

    def listen(self, host: str, port: int) -> int:
        """Takes the address; returns the port, which the system chose if 0 was given.

        Raises:
            OSError: When the address cannot be had.
        """
        listening = listen(host, port, self._purpose, stall_timeout=self._stall_timeout)
        # While it drains, new connections would wait in the backlog: the duplicate is to turn them away.
        self._sockets = [listening, listening.dup()]
        taken: int = listening.getsockname()[1]
        return taken

    async def start(self) -> None:
        """Begins to serve.

        Raises:
            GatewayError: MALFORMED when it cannot use the certificate.
        """
        self._running = await self._start()

    async def renew(self, tls: TlsMaterial) -> None:
        """Speaks TLS by this with whoever connects from now on.

        A server of h2corn's keeps the certificate that it began with, so a second one takes over. The first has its
        clients connect anew, each once its open calls are answered.

        Raises:
            GatewayError: MALFORMED when it cannot use the certificate; then all stays as it is.
        """
        before, self._tls = self._tls, tls
        try:
            running = await self._start()
        except BaseException:
            self._tls = before
            raise
        # It closes a connection without a call as soon as it has told it to end. A call that is on its way there is to
        # hear of that, and not that there is no connection.
        lingering = await asyncio.to_thread(accepted, self._sockets[0])
        asyncio.get_running_loop().call_later(_LINGERING_SECONDS, close_all, lingering)
        self._running.server.shutdown()
        self._leaving.add(self._running.serving)
        self._running.serving.add_done_callback(self._leaving.discard)
        self._running = running

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left; may be called again."""
        if not self._sockets:
            return
        self._running.server.shutdown()
        await asyncio.sleep(_BACKLOG_SECONDS)  # in the other order it would end badly
        self._sockets[1].shutdown(socket.SHUT_RDWR)
        ending = {self._running.serving, *self._leaving}
        if self._open is not None:
            await asyncio.wait(ending, timeout=_LAST_WORDS_SECONDS)
            self._open.cancel()
        await asyncio.gather(*ending)
        while self._sockets:
            self._sockets.pop().close()

    async def _start(self) -> _Running:
        server = h2corn.Server(self._app, self._config())
        with native_output.quiet():
            serving = asyncio.create_task(server.serve())
            started = asyncio.create_task(server.wait_started())
            await asyncio.wait((serving, started), return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
        if serving.done():
            try:
                await serving
            except ValueError as error:
                if self._tls is None:
                    raise
                message = (
                    f"h2corn cannot use tls_certificate {self._tls.files.certificate} and what is with it: {error}"
                )
                raise GatewayError(ErrorKind.MALFORMED, message) from None
        return _Running(server, serving)

    def _config(self) -> h2corn.Config:
        tls: dict[str, Any] = {}
        if self._tls is not None:
            files = self._tls.files
            tls = {"certfile": files.certificate, "keyfile": files.key, "timeout_handshake": HANDSHAKE_SECONDS}
            if files.client_ca is not None:
                tls |= {"ca_certs": files.client_ca, "cert_reqs": "required" if files.needs_certificate else "optional"}
        return h2corn.Config(
            bind=(f"fd://{self._sockets[0].fileno()}",),
            lifespan="off",
            grpc=True,
            runtime_threads=_THREADS,
            access_log=False,
            log_format="json",  # its lines become entries of the log
            date_header=False,
            max_concurrent_streams=_MAX_STREAMS,
            limit_request_head_size=_MAX_HEAD_BYTES,
            h2_max_header_list_size=_MAX_HEAD_BYTES,
            h2_max_header_block_size=_MAX_HEAD_BYTES,
            h2_initial_stream_window_size=_STREAM_WINDOW,
            h2_initial_connection_window_size=_CONNECTION_WINDOW,
            max_request_body_size=0,
            request_policies=self._policies,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_LAST_WORDS_SECONDS if self._tls is None else _RENEWAL_SECONDS,
            h2_timeout_response_stall=self._stall_timeout,
            **tls,
        )
