"""The server of the REST port: uvicorn, in this process's own event loop."""

import contextlib
from collections.abc import Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from service.transport.rest.http_protocol import BoundedHttpProtocol

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which common load balancers give up an idle connection, so that they close it, not we."""


class RestServer(uvicorn.Server):
    """Uvicorn without its own signal handling: the runtime stops it.

    Args:
        app: The ASGI application.
        drain_seconds: How long a stop waits for requests in flight.
        stall_timeout: Seconds after which a client is let go that does not read its answer.
    """

    def __init__(self, app: ASGIApp, *, drain_seconds: float, stall_timeout: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=partial(BoundedHttpProtocol, stall_timeout),  # type: ignore[arg-type]  # called, and nothing else
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

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals alone."""
        yield

    def stop(self) -> None:
        """Accepts no more connections, lets requests in flight finish, and ends ``serve()``."""
        self.should_exit = True
