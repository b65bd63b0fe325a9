"""What both ports answer: gRPC and gRPC-Web where the content type says so, REST else."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from service.transport.grpc.asgi import NATIVE, WEB, GrpcApp


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
        for name, value in scope["headers"]:
            if name == b"content-type" and value[: len(NATIVE)].lower() == NATIVE:
                if value[: len(WEB)].lower() == WEB or _takes_trailers(scope):
                    await self.grpc(scope, receive, send)
                else:
                    await self.grpc.refuse(receive, send)
                return
        await self.rest(scope, receive, send)


def _takes_trailers(scope: Scope) -> bool:
    """Tells whether gRPC can be answered; HTTP/1.1 has trailers too, but gRPC is not spoken over it."""
    return scope["http_version"] == "2" and "http.response.trailers" in scope.get("extensions", {})
