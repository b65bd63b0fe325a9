"""A gRPC server that answers as it is told, by the official server: for what clients do with answers."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from service.errors import ErrorKind, GatewayError
from service.protocols.native.grpc import CODES
from service.transport.grpc.status import STATUS_DETAILS, status

Answer = bytes | GatewayError | Callable[[bytes], bytes]
_SERVING = {True: health_pb2.HealthCheckResponse.SERVING, False: health_pb2.HealthCheckResponse.NOT_SERVING}


@dataclass
class ScriptedServer:
    """What it answers and was asked.

    Attributes:
        answers: To one call after the other, by method; the last one of a method again and again.
        address: Where it listens.
        asked: The path, the metadata and the seconds left of each call.
    """

    answers: dict[str, Sequence[Answer]]
    address: str = ""
    asked: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)
    _health: health.HealthServicer = field(default_factory=health.HealthServicer)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def says_it_serves(self, serving: bool) -> None:
        """Changes what its health service says."""
        self._health.set("", _SERVING[serving])

    def count(self, method: str) -> int:
        """Returns how often a method was called."""
        return sum(path.endswith(f"/{method}") for path, _, _ in self.asked)

    def answer(self, path: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Answers a call."""
        method = path.rpartition("/")[2]
        with self._lock:
            script = self.answers[method]
            chosen = script[min(self.count(method), len(script) - 1)]
            remaining = context.time_remaining()
            metadata = {name: value for name, value in context.invocation_metadata()}  # noqa: C416  # no pairs
            self.asked.append((path, metadata, -1 if remaining is None else remaining))
        if isinstance(chosen, bytes):
            return chosen
        if not isinstance(chosen, GatewayError):
            return chosen(request)
        details = status(chosen, "the-request", CODES)
        context.set_trailing_metadata(((STATUS_DETAILS, details.SerializeToString()),))
        code = next(code for code in grpc.StatusCode if code.value[0] == CODES[chosen.kind])
        context.abort(code, chosen.message)
        raise AssertionError


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        path = str(details.method)
        if path.rpartition("/")[2] not in self._server.answers:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._server.answer(path, request, context))


@contextmanager
def scripted_server(**answers: Sequence[Answer]) -> Iterator[ScriptedServer]:
    """Serves these answers, by method, while the body runs."""
    scripted = ScriptedServer(answers)
    server = grpc.server(ThreadPoolExecutor(8))
    health_pb2_grpc.add_HealthServicer_to_server(scripted._health, server)
    scripted.says_it_serves(True)
    server.add_generic_rpc_handlers((_Handlers(scripted),))
    scripted.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield scripted
    finally:
        server.stop(0).wait(10)


def unavailable() -> GatewayError:
    """Returns what a server says that is not ready; it asks for a second."""
    return GatewayError(ErrorKind.NOT_READY, "it is loading")
