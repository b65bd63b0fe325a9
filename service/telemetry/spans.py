"""Spans of OpenTelemetry: of a call and its phases, of a run, of a run at a replica.

A span is made when what it is about is over, out of what was measured anyway: until then a call carries no more than
its context. The SDK would rather make `ReadableSpan` itself, but to open, fill and close one there takes ten times as
long.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from service import __version__
from service.core.call import Call
from service.core.model_version import ModelVersion
from service.core.spans import Metadata, Trace
from service.core.tracing import HttpFacts
from service.errors import OK
from service.telemetry import conventions
from service.telemetry.conventions import Attributes

_SCOPE = InstrumentationScope("tensorgate", __version__)
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


def _epoch() -> int:
    return time.time_ns() - time.perf_counter_ns()


def _at(seconds: float, epoch: int) -> int:
    return epoch + int(seconds * 1e9)


def _now(epoch: int) -> int:
    return epoch + time.perf_counter_ns()


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes spans.

    Attributes:
        resource: What the process is.
        take: Takes each span.
        ids: Draws their ids.
    """

    resource: Resource
    take: Callable[[ReadableSpan], None]
    ids: IdGenerator = field(default_factory=RandomIdGenerator)

    def child(self, parent: SpanContext) -> SpanContext:
        """Returns the context of a span below that one."""
        span_id = self.ids.generate_span_id()
        return SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)

    def make(self, name: str, context: SpanContext, parent: SpanContext | None, **rest: Any) -> None:
        """Makes a span; the rest is as `ReadableSpan` takes it."""
        self.take(ReadableSpan(name, context, parent, self.resource, instrumentation_scope=_SCOPE, **rest))


@dataclass(slots=True)
class CallTrace:
    """The trace of one call.

    Attributes:
        context: Of its own span.
        parent: Of the span above it, the client's or the stream's, if there is one.
        http: What it was, over REST.
        user_agent: The client's program, as it says.
        is_message: Whether it is one message of a stream.
        epoch: Nanoseconds from 1970 to the zero of the performance counter, as it stood when the call began.
        shared: The runs that it took part in and that are in the traces of others.
    """

    maker: Maker
    context: SpanContext
    parent: SpanContext | None
    http: HttpFacts | None = None
    user_agent: str = ""
    is_message: bool = False
    epoch: int = field(default_factory=_epoch)
    shared: list[SpanContext] = field(default_factory=list)

    @property
    def trace_id(self) -> str:
        """Of the trace: 32 hex digits."""
        return f"{self.context.trace_id:032x}"

    @property
    def span_id(self) -> str:
        """Of the call's own span: 16 hex digits."""
        return f"{self.context.span_id:016x}"

    @property
    def sampled(self) -> bool:
        """Whether its spans are recorded."""
        return self.context.trace_flags.sampled

    def run(self, version: ModelVersion, rows: int, merged: Sequence[Trace]) -> "RunTrace":
        """Begins a run: below the first of its requests that is sampled, with a link to each that is."""
        sampled = [trace for trace in merged if isinstance(trace, CallTrace) and trace.sampled]
        if not sampled:
            return RunTrace(self.maker, self.context, None, self.epoch)
        first = sampled[0]
        attributes = conventions.of_run(version, rows, len(merged))
        links = [Link(trace.context) for trace in sampled]
        run = RunTrace(self.maker, self.maker.child(first.context), first.context, first.epoch, attributes, links)
        for trace in sampled[1:]:
            trace.shared.append(run.context)
        return run

    def end(self, call: Call, code: str) -> None:
        """Makes the spans of the call and of its phases."""
        if not self.sampled:
            return
        maker, epoch, context = self.maker, self.epoch, self.context
        ended = _now(epoch)
        for name, since, until in call.intervals or ():
            links = [Link(run) for run in self.shared] if name == "execute" else ()
            times = {"start_time": _at(since, epoch), "end_time": _at(until, epoch)}
            maker.make(name, maker.child(context), context, links=links, **times)
        attributes = conventions.of_call(call, code, self.user_agent)
        if self.is_message:
            failed = code != OK
        elif self.http is not None:
            failed = conventions.add_http(attributes, self.http, call)
        else:
            failed = conventions.add_grpc(attributes, call, code)
        if failed:
            attributes["error.type"] = code
        maker.make(
            conventions.name_of(call, self.http),
            context,
            self.parent,
            kind=SpanKind.INTERNAL if self.is_message else SpanKind.SERVER,
            attributes=attributes,
            status=_ERROR if failed else _UNSET,
            start_time=_at(call.started, epoch),
            end_time=ended,
        )


@dataclass(slots=True)
class RunTrace:
    """The trace of one run; its span is made as it ends.

    Attributes:
        context: Of its span; where none is recorded, that of the request.
        parent: Of the span above it; ``None`` where none is recorded.
        epoch: That of the request.
    """

    maker: Maker
    context: SpanContext
    parent: SpanContext | None
    epoch: int
    attributes: Attributes = field(default_factory=dict)
    links: Sequence[Link] = ()
    began: float = field(default_factory=time.perf_counter)

    def attempt(self, method: str, replica: str) -> "AttemptTrace":
        """Begins to ask a replica."""
        if self.parent is None:
            return AttemptTrace(self.maker, self.context, None, self.epoch, method, replica)
        return AttemptTrace(self.maker, self.maker.child(self.context), self.context, self.epoch, method, replica)

    def end(self, code: str) -> None:
        """Makes its span."""
        if self.parent is None:
            return
        self.maker.make(
            "run",
            self.context,
            self.parent,
            links=self.links,
            **_outcome(self.attributes, code),
            start_time=_at(self.began, self.epoch),
            end_time=_now(self.epoch),
        )


@dataclass(slots=True)
class AttemptTrace:
    """The trace of one run at one replica; its span is made as it ends.

    Attributes:
        context: Of its span; where none is recorded, that of the request.
        parent: Of the span above it; ``None`` where none is recorded.
        epoch: That of the request.
        method: Full name of the gRPC method.
        replica: Its address.
    """

    maker: Maker
    context: SpanContext
    parent: SpanContext | None
    epoch: int
    method: str
    replica: str
    began: float = field(default_factory=time.perf_counter)

    @property
    def metadata(self) -> Metadata:
        """``traceparent`` and, where there is one, ``tracestate``, as W3C Trace Context writes them."""
        own = self.context
        traceparent = ("traceparent", f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}")
        return (traceparent, ("tracestate", own.trace_state.to_header())) if own.trace_state else (traceparent,)

    def end(self, code: str) -> None:
        """Makes its span."""
        if self.parent is None:
            return
        self.maker.make(
            self.method,
            self.context,
            self.parent,
            kind=SpanKind.CLIENT,
            **_outcome(conventions.of_attempt(self.method, self.replica), code),
            start_time=_at(self.began, self.epoch),
            end_time=_now(self.epoch),
        )


def _outcome(attributes: Attributes, code: str) -> dict[str, Any]:
    """Returns what a span says that ended with this code: its status, and its attributes with the code added."""
    attributes["tensorgate.code"] = code
    if code == OK:
        return {"attributes": attributes, "status": _UNSET}
    attributes["error.type"] = code
    return {"attributes": attributes, "status": _ERROR}
