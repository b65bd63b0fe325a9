"""What h2corn needs beside the application where it speaks TLS."""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from service.transport.tls import CERTIFICATE, peer_certificate


class WithCertificates:
    """An ASGI application whose scopes have the client's certificate, where it has shown one.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        chain = scope.get("extensions", {}).get("tls", {}).get("client_cert_chain")
        if chain and (certificate := peer_certificate(chain[0])) is not None:
            scope[CERTIFICATE] = certificate
        await self._app(scope, receive, send)


class OpenRequests:
    """An ASGI application whose open requests can be ended.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[Any] | None] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        task = asyncio.current_task()
        self._tasks.add(task)
        try:
            await self._app(scope, receive, send)
        finally:
            self._tasks.discard(task)

    def cancel(self) -> None:
        """Ends them, as h2corn does when their time is up."""
        for task in self._tasks:
            if task is not None:
                task.cancel()
