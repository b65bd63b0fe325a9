"""The servers that the gRPC port can have, of which only the chosen one is imported; and that of operators."""

from typing import Protocol

from service.app.applications import Answered
from service.app.settings import Settings
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


def grpc_server(settings: Settings, answered: Answered, tls: TlsMaterial | None) -> GrpcServer:
    """Returns the server that the settings choose; only that one is imported."""
    if settings.grpc_server == "grpcio":
        from service.transport.grpc.aio import AioServer  # noqa: PLC0415

        calls, limit = answered.grpc, settings.max_request_bytes
        return AioServer(calls, max_request_bytes=limit, stall_timeout=settings.stall_timeout, tls=tls)
    return _h2corn(settings, answered, tls, "gRPC")


def admin_server(settings: Settings, answered: Answered, tls: TlsMaterial | None) -> GrpcServer:
    """Returns the server of the admin address: it speaks gRPC, gRPC-Web and REST whatever the gRPC port has."""
    return _h2corn(settings, answered, tls, "operators")


def _h2corn(settings: Settings, answered: Answered, tls: TlsMaterial | None, purpose: str) -> GrpcServer:
    from service.transport.grpc.h2corn_server import H2cornServer  # noqa: PLC0415

    names, stall_timeout = answered.grpc.service_names, settings.stall_timeout
    return H2cornServer(answered.app, services=names, stall_timeout=stall_timeout, tls=tls, purpose=purpose)
