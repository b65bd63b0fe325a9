"""Traces by OpenTelemetry: where they begin, and how they leave the process, as the usual ``OTEL_*`` variables say.

Imported only where there is somewhere to send them: the packages are in the extra ``tracing``.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import __version__
from service.core.call import Call
from service.core.spans import Trace
from service.core.tracing import HttpFacts
from service.telemetry.spans import CallTrace, Maker

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 5.0
"""Within which what is left must be sent when the server stops; what is not is lost."""
_COMPLAINT_SECONDS = 60.0
"""Between two lines in the log that spans are lost."""
_SAMPLED, _NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
_NOTHING = Context()


class _Headers(Getter[Mapping[bytes, bytes]]):
    """Finds a header for the SDK."""

    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        value = carrier.get(key.encode())
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


_PROPAGATOR, _HEADERS = TraceContextTextMapPropagator(), _Headers()


class OtelTracer:
    """Traces calls, and sends their spans by OTLP.

    Args:
        exporter: Sends spans.

    The sampler (``OTEL_TRACES_SAMPLER``), the resource (``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``) and the
    bounds of what waits to be sent (``OTEL_BSP_*``) are the SDK's, which reads them.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        # The SDK writes a line for each failure: that is one a second where nobody listens.
        _complaints.install()
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._sampler = provider.sampler
        self._processor = BatchSpanProcessor(exporter)
        self._maker = Maker(provider.resource, self._processor.on_end, provider.id_generator)

    def begin(self, call: Call, headers: Mapping[bytes, bytes], http: HttpFacts | None = None) -> None:
        """Gives a call its trace, new or as the client's headers say; whether it is sampled is decided here."""
        context = _NOTHING
        parent: SpanContext | None = None
        if b"traceparent" in headers:
            context = _PROPAGATOR.extract(headers, _NOTHING, _HEADERS)
            found = get_current_span(context).get_span_context()
            parent = found if found.is_valid else None
        ids = self._maker.ids
        trace_id = ids.generate_trace_id() if parent is None else parent.trace_id
        decided = self._sampler.should_sample(context, trace_id, call.method, SpanKind.SERVER)
        sampled = decided.decision is Decision.RECORD_AND_SAMPLE
        flags = _SAMPLED if sampled else _NOT_SAMPLED
        own = SpanContext(trace_id, ids.generate_span_id(), False, flags, decided.trace_state)
        trace = CallTrace(self._maker, own, parent)
        call.trace = trace
        if sampled:
            call.intervals = []
            trace.http = http
            trace.user_agent = headers.get(b"user-agent", b"").decode("latin-1")

    def begin_message(self, call: Call, stream: Trace) -> None:
        """Gives a message the trace of its stream."""
        if isinstance(stream, CallTrace):
            call.trace = CallTrace(self._maker, self._maker.child(stream.context), stream.context, is_message=True)
            if stream.sampled:
                call.intervals = []

    def end(self, call: Call, code: str) -> None:
        """Makes the spans of a call that was begun."""
        if isinstance(call.trace, CallTrace):
            call.trace.end(call, code)

    async def close(self) -> None:
        """Sends what is left, for some seconds at most."""
        # On a thread that nothing waits for: a receiver that hangs keeps nobody.
        closing = threading.Thread(target=self._processor.shutdown, name="tensorgate-traces", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, _CLOSE_SECONDS)
        if closing.is_alive():
            logger.warning("the last spans could not be sent within %g s, and are lost", _CLOSE_SECONDS)


def exporter() -> SpanExporter:
    """Returns what sends spans by OTLP; the SDK reads where to, with which headers, and so on.

    Over HTTP where ``OTEL_EXPORTER_OTLP_PROTOCOL`` says so, else over gRPC, as the SDK for Python has it too.

    Raises:
        ValueError: For a protocol that is neither.
    """
    variables = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    protocol = next((value for name in variables if (value := os.environ.get(name, "").strip())), "grpc")
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc  # noqa: PLC0415

        return over_grpc.OTLPSpanExporter()
    if protocol == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http  # noqa: PLC0415

        return over_http.OTLPSpanExporter()
    raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf, got {protocol!r}")


def _resource() -> Resource:
    named = Resource.create().attributes[SERVICE_NAME]
    own: dict[str, str] = {SERVICE_VERSION: __version__}
    if str(named).startswith("unknown_service"):
        own[SERVICE_NAME] = "tensorgate"
    return Resource.create(own)


class _Complaints(logging.Handler):
    """Passes on what the SDK and its exporters log, one record in a while."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._next = 0.0
        self._kept_back = 0

    def install(self) -> None:
        """Takes the place of the handlers above, once."""
        source = logging.getLogger("opentelemetry")
        source.propagate = False
        if self not in source.handlers:
            source.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Logs it as our own, without a traceback."""
        if record.created < self._next:
            self._kept_back += 1
            return
        more = f" ({self._kept_back} more lines since the last one)" if self._kept_back else ""
        self._next, self._kept_back = record.created + _COMPLAINT_SECONDS, 0
        logger.warning("spans may be lost: %s%s", record.getMessage(), more)


_complaints = _Complaints()
