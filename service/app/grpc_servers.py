"""The servers that the gRPC port can have, of which only the chosen one is imported."""

from typing import Protocol

from starlette.types import ASGIApp

from service.app.settings import Settings
from service.transport.grpc.calls import GrpcCalls
from service.transport.tls import TlsMaterial


class GrpcServer(Protocol):
    """A server of the gRPC port."""

    def listen(self, host: str, port: int) -> int:
        """Takes the address; returns the port, which the system chose if 0 was given.

        Raises:
            OSError: When the address cannot be had.
        """

    async def start(self) -> None:
        """Begins to serve."""

    async def renew(self, tls: TlsMaterial) -> None:
        """Speaks TLS by this with whoever connects from now on; calls that are open go on.

        Raises:
            GatewayError: When it cannot use the certificate; then all stays as it is.
        """

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left."""


def grpc_server(settings: Settings, app: ASGIApp, calls: GrpcCalls, tls: TlsMaterial | None) -> GrpcServer:
    """Returns the server that the settings choose; only that one is imported."""
    stall_timeout = settings.stall_timeout
    if settings.grpc_server == "grpcio":
        from service.transport.grpc.aio import AioServer  # noqa: PLC0415

        return AioServer(calls, max_request_bytes=settings.max_request_bytes, stall_timeout=stall_timeout, tls=tls)
    from service.transport.grpc.h2corn_server import H2cornServer  # noqa: PLC0415

    return H2cornServer(app, services=calls.service_names, stall_timeout=stall_timeout, tls=tls)
