"""The server of the REST port: uvicorn, in this process's own event loop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from service.transport.rest.http_protocol import BoundedHttpProtocol
from service.transport.tls import HANDSHAKE_SECONDS, TlsMaterial

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which common load balancers give up an idle connection, so that they close it, not we."""


class RestServer(uvicorn.Server):
    """Uvicorn without its own signal handling: the runtime stops it.

    Args:
        app: The ASGI application.
        drain_seconds: How long a stop waits for requests in flight.
        stall_timeout: Seconds after which a client is let go that does not read its answer.
        tls: What TLS is made of; without it none is spoken.
    """

    def __init__(
        self, app: ASGIApp, *, drain_seconds: float, stall_timeout: float, tls: TlsMaterial | None = None
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # whoever is on this machine could say that a request is somebody else's
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )
        self._stall_timeout = stall_timeout
        self._tls = tls
        self.servers: list[asyncio.Server] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to accept connections: what uvicorn does for sockets that it is given, with time limits for TLS."""
        config = self.config
        protocol = partial(
            BoundedHttpProtocol,
            self._stall_timeout,
            config=config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        tls: dict[str, Any] = {}
        if self._tls is not None:
            first = self._tls.context
            first.sni_callback = self._use_newest
            # The second is the time to send what is left of an answer, too.
            timeouts = {"ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": self._stall_timeout}
            tls = {"ssl": first, **timeouts}
        loop = asyncio.get_running_loop()
        for listening in sockets or []:
            server = await loop.create_server(protocol, sock=listening, backlog=config.backlog, **tls)
            self.servers.append(server)
        self.started = True

    async def renew(self, tls: TlsMaterial) -> None:
        """Speaks TLS by this with whoever connects from now on; connections that there are go on."""
        self._tls = tls

    def _use_newest(self, connection: ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        """Has a handshake go on with the newest certificate; OpenSSL calls this at each, with a name or without."""
        if self._tls is not None:
            connection.context = self._tls.context

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield

    def stop(self) -> None:
        """Accepts no more connections, lets requests in flight finish, and ends ``serve()``."""
        self.should_exit = True
