"""What both ports answer: gRPC and gRPC-Web where the content type says so, else REST."""

import asyncio
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from service.transport.grpc.asgi import NATIVE, WEB, GrpcApp
from service.transport.rest.app import RestApp

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
    rest: RestApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        scope[TASK] = asyncio.current_task()
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # of several of one name the first counts
        content_type = headers.get(b"content-type", b"").lower()
        try:
            if not content_type.startswith(NATIVE):
                await self.rest.answer(scope, headers, receive, send)
            elif content_type.startswith(WEB) or _takes_trailers(scope):
                await self.grpc.answer(scope, headers, receive, send)
            else:
                await self.grpc.refuse(scope, receive, send)
        except asyncio.CancelledError:
            if GONE not in scope:
                raise


def _takes_trailers(scope: Scope) -> bool:
    """Returns whether gRPC can be answered; HTTP/1.1 has trailers too, but gRPC is not spoken over it."""
    return scope["http_version"] == "2" and "http.response.trailers" in scope.get("extensions", {})
