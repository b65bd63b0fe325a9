"""The health service (grpc.health.v1), for the server as a whole and for each service.

Source: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any, cast

from grpc_health.v1 import health_pb2

from service.core.call import Call
from service.core.rights import Access
from service.errors import ErrorKind, GatewayError, Violation, shown
from service.seam.grpc import method_of, parser_of
from service.seam.method import BytesMethod
from service.transport.grpc.calls import OpenStream

if TYPE_CHECKING:
    from google.protobuf.descriptor import ServiceDescriptor

NAME = "grpc.health.v1.Health"
_DESCRIPTOR = cast("ServiceDescriptor", health_pb2.DESCRIPTOR.services_by_name["Health"])

_parse = parser_of(health_pb2.HealthCheckRequest)
_Response = health_pb2.HealthCheckResponse
_messages: Any = health_pb2
"""The stubs of this module lack the messages of List."""


class Health:
    """Tells whether services are served; all of them are, or none is.

    Args:
        names: Names of the services; the empty one is the server as a whole.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._ready = False
        self._is_closed = False
        self._changed = asyncio.Event()

    def set_ready(self, ready: bool) -> None:
        """Changes the answer from now on."""
        if ready != self._ready:
            self._ready = ready
            self._wake()

    def close(self) -> None:
        """Ends all watches: they would keep the server from ending."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def methods(self) -> dict[str, BytesMethod | OpenStream]:
        """Returns the methods by path."""
        public = Access.PUBLIC
        return {
            f"/{NAME}/Check": method_of(NAME, _DESCRIPTOR, "Check", self.check, is_probe=True, access=public),
            f"/{NAME}/List": method_of(NAME, _DESCRIPTOR, "List", self.list_all, is_probe=True, access=public),
            f"/{NAME}/Watch": OpenStream(f"{NAME}/Watch", self.watch, public),
        }

    async def check(self, request: health_pb2.HealthCheckRequest, call: Call) -> health_pb2.HealthCheckResponse:
        """Answers Check.

        Raises:
            GatewayError: MODEL_NOT_FOUND, which is NOT_FOUND over gRPC, when there is no such service.
        """
        if request.service not in self._names:
            known = Violation("service", "one of the services that reflection lists", shown(request.service))
            raise GatewayError(ErrorKind.MODEL_NOT_FOUND, str(known), [known])
        return _Response(status=self._status(request.service))

    async def list_all(self, request: Any, call: Call) -> Any:
        """Answers List: what Check says of each service."""
        return _messages.HealthListResponse(
            statuses={name: _Response(status=self._status(name)) for name in self._names}
        )

    async def watch(self, messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """Answers Watch: the state as it is, and each change of it, until the client goes away."""
        async for data in messages:
            service = _parse(data).service
            last = None
            while not self._is_closed:
                changed = self._changed
                if (status := self._status(service)) != last:
                    last = status
                    yield _Response(status=status).SerializeToString()
                await changed.wait()

    def _status(self, service: str) -> int:
        if service not in self._names:
            return _Response.SERVICE_UNKNOWN
        return _Response.SERVING if self._ready else _Response.NOT_SERVING
