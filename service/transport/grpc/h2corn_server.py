"""h2corn, the HTTP/2 server of the gRPC port, in this process's own event loop.

What it does and does not do was tried on the release that the project pins; `docs/architecture.md` lists it.
"""

import asyncio
import socket
from collections.abc import Iterable

import h2corn
from starlette.types import ASGIApp

from service.core import native_output
from service.transport.sockets import listen
from service.transport.stalls import StallLimit

_MAX_STREAMS = 1024
"""Calls of one connection at a time; clients keep the next ones back. More than are admitted by default."""
_STREAM_WINDOW, _CONNECTION_WINDOW = 1 << 20, 16 << 20
"""Bytes that a client may send ahead: one call whose body nobody reads is not to block the connection's others."""
_MAX_HEAD_BYTES = 64 * 1024
_KEEP_ALIVE_SECONDS = 3600.0
"""Clients keep gRPC connections open without calls; they look after them with pings."""
_THREADS = 1
"""Of h2corn's own. One carries ten times as many calls as Python answers; a second one only makes more wake-ups."""
_LAST_WORDS_SECONDS = 1
"""For answers that are on their way when the server stops: by then what was in flight has been waited for."""
_BACKLOG_SECONDS = 0.1


class H2cornServer:
    """Serves an ASGI application over HTTP/2, and over HTTP/1.1 as well.

    Args:
        app: The application.
        services: Names of the gRPC services among what it answers.
        stall_timeout: Seconds after which a client is let go that does not read its answers.
    """

    def __init__(self, app: ASGIApp, *, services: Iterable[str], stall_timeout: float) -> None:
        self._app = StallLimit(app, stall_timeout)
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

    def listen(self, host: str, port: int) -> int:
        """Takes the address; returns the port, which the system chose if 0 was given.

        Raises:
            OSError: When the address cannot be had.
        """
        listening = listen(host, port, "gRPC", stall_timeout=self._stall_timeout)
        # While it drains, new connections would wait in the backlog: the duplicate is to turn them away.
        self._sockets = [listening, listening.dup()]
        taken: int = listening.getsockname()[1]
        return taken

    async def start(self) -> None:
        """Begins to serve."""
        self._server = h2corn.Server(
            self._app,
            h2corn.Config(
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
                timeout_graceful_shutdown=_LAST_WORDS_SECONDS,
                h2_timeout_response_stall=self._stall_timeout,
            ),
        )
        with native_output.quiet():
            self._serving = asyncio.create_task(self._server.serve())
            started = asyncio.create_task(self._server.wait_started())
            await asyncio.wait((self._serving, started), return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
        if self._serving.done():
            await self._serving

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left; may be called again."""
        if not self._sockets:
            return
        self._server.shutdown()
        await asyncio.sleep(_BACKLOG_SECONDS)  # in the other order it would end badly
        self._sockets[1].shutdown(socket.SHUT_RDWR)
        await self._serving
        while self._sockets:
            self._sockets.pop().close()
