"""The gRPC server, with health and reflection."""

import errno
from collections.abc import Sequence

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from service.transport.reflection import reflection_pool
from service.transport.rpc_calls import RpcCalls
from service.transport.rpc_options import server_options
from service.transport.rpc_service import RpcService

_LAST_WORDS_SECONDS = 0.2
"""For answers that are on their way when the server stops."""


class RpcServer:
    """A gRPC server with health and reflection.

    Args:
        services: What it serves.
        calls: Wraps every call.
        max_request_bytes: How long a message may be.
        shared: Whether other servers may listen on the same port, if they share it as well.
    """

    def __init__(
        self, *, services: Sequence[RpcService], calls: RpcCalls, max_request_bytes: int, shared: bool = False
    ) -> None:
        self._health_names = ["", *(name for service in services for name in (service.name, *service.health_names))]
        self._server = aio.server(
            options=server_options(max_request_bytes, shared=shared),
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in services:
            handlers = grpc.method_handlers_generic_handler(service.name, calls.handlers(service))
            self._server.add_generic_rpc_handlers((handlers,))
        names = [service.name for service in services]
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME),
            self._server,
            pool=reflection_pool((service.name, service.descriptor) for service in services),
        )
        self._server.add_generic_rpc_handlers((calls.unknown(),))

    def listen(self, host: str, port: int) -> int:
        """Takes the address; returns the port, which the system chose if 0 was given.

        Raises:
            OSError: When the address cannot be had.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(
                errno.EADDRINUSE, f"cannot listen on {address} for gRPC, most likely as it is in use"
            ) from error

    async def start(self) -> None:
        """Begins to serve; not ready until `set_ready` says so."""
        await self.set_ready(False)
        await self._server.start()

    async def set_ready(self, ready: bool) -> None:
        """Answers health checks, for the server and for each service, accordingly."""
        response = health_pb2.HealthCheckResponse
        for name in self._health_names:
            await self._health.set(name, response.SERVING if ready else response.NOT_SERVING)

    async def stop(self) -> None:
        """Takes no more calls and ends those that are left, such as a client's watch of the health service."""
        await self._server.stop(_LAST_WORDS_SECONDS)
