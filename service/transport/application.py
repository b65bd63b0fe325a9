"""What both ports answer: gRPC and gRPC-Web where the content type says so, REST else."""

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from service.transport.grpc.asgi import NATIVE, WEB, GrpcApp

TASK = "tensorgate.task"
"""Member of a scope: the task that answers it, to be cancelled by a server that sees that the client has gone."""
GONE = "tensorgate.gone"
"""Member of a scope: set by a server before it cancels the task."""


@dataclass(frozen=True, slots=True)
class Application:
    """An ASGI application.

    Attributes:
        grpc: Answers gRPC and gRPC-Web.
        rest: Answers everything else.
    """

    grpc: GrpcApp
    rest: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        scope[TASK] = asyncio.current_task()
        try:
            await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            if GONE not in scope:
                raise

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Of several the first counts, as where calls are answered.
        content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        if content_type[: len(NATIVE)].lower() != NATIVE:
            await self.rest(scope, receive, send)
        elif content_type[: len(WEB)].lower() == WEB or _takes_trailers(scope):
            await self.grpc(scope, receive, send)
        else:
            await self.grpc.refuse(receive, send)


def _takes_trailers(scope: Scope) -> bool:
    """Returns whether gRPC can be answered; HTTP/1.1 has trailers too, but gRPC is not spoken over it."""
    return scope["http_version"] == "2" and "http.response.trailers" in scope.get("extensions", {})
