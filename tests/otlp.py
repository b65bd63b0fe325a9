"""A receiver of traces, by OTLP over gRPC or HTTP, on a free port."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.conftest import until

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"
UNSAMPLED = f"00-{TRACE_ID}-{PARENT_ID}-00"
TRACESTATE = "vendor=opaque,other=1"
SERVER, INTERNAL, CLIENT = (
    trace_pb2.Span.SPAN_KIND_SERVER,
    trace_pb2.Span.SPAN_KIND_INTERNAL,
    trace_pb2.Span.SPAN_KIND_CLIENT,
)


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@dataclass(frozen=True)
class Span:
    """A span that came."""

    message: trace_pb2.Span

    @property
    def name(self) -> str:
        return self.message.name

    @property
    def kind(self) -> int:
        return self.message.kind

    @property
    def trace_id(self) -> str:
        return self.message.trace_id.hex()

    @property
    def span_id(self) -> str:
        return self.message.span_id.hex()

    @property
    def parent_id(self) -> str:
        return self.message.parent_span_id.hex()

    @property
    def failed(self) -> bool:
        return self.message.status.code == trace_pb2.Status.STATUS_CODE_ERROR

    @property
    def links(self) -> set[str]:
        """The ids of the spans that it has links to."""
        return {link.span_id.hex() for link in self.message.links}

    @property
    def times(self) -> tuple[int, int]:
        return self.message.start_time_unix_nano, self.message.end_time_unix_nano

    @cached_property
    def attributes(self) -> Mapping[str, Any]:
        return _values(self.message.attributes)


class Receiver:
    """What came.

    Attributes:
        endpoint: Where it listens.
        spans: All spans, as they came.
        resources: The attributes of what sent them.
        headers: Those of the last request.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[Span] = []
        self.resources: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}

    def take(self, request: ExportTraceServiceRequest, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers)
        for of_resource in request.resource_spans:
            self.resources.append(_values(of_resource.resource.attributes))
            for of_scope in of_resource.scope_spans:
                assert of_scope.scope.name == "tensorgate"
                self.spans += map(Span, of_scope.spans)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def below(self, parent: Span) -> dict[str, Span]:
        """Returns the spans right below one, by name; of several of one name the last."""
        return {span.name: span for span in self.spans if span.parent_id == parent.span_id}

    async def some(self, name: str, count: int = 1) -> list[Span]:
        """Waits until so many spans of a name are there; each comes after those below it."""
        await until(lambda: len(self.named(name)) >= count)
        assert len(self.named(name)) == count
        return self.named(name)


class _Servicer(TraceServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._receiver.take(request, dict(context.invocation_metadata()))
        return ExportTraceServiceResponse()


@contextmanager
def receiving_grpc() -> Iterator[Receiver]:
    """Receives over gRPC while the body runs."""
    receiver = Receiver()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(_Servicer(receiver), server)  # type: ignore[no-untyped-call]
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(0).wait()


@contextmanager
def receiving_http() -> Iterator[Receiver]:
    """Receives over HTTP while the body runs."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            receiver.take(ExportTraceServiceRequest.FromString(body), dict(self.headers))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
