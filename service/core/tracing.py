"""The port of tracing: what the transports tell whoever traces calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.core.call import Call
from service.core.spans import Trace


@dataclass(frozen=True, slots=True)
class HttpFacts:
    """What a REST request was, for its span.

    Attributes:
        method: HTTP's method, as it came.
        path: The path as it came, without the query.
        version: HTTP's version.
        scheme: ``http``, or ``https`` with TLS.
    """

    method: str
    path: str
    version: str
    scheme: str = "http"


class Tracer(Protocol):
    """Traces calls."""

    def begin(self, call: Call, headers: Mapping[bytes, bytes], http: HttpFacts | None = None) -> None:
        """Gives a call its trace, new or as the client's headers say; whether it is sampled is decided here.

        Args:
            call: The call, as it begins.
            headers: Its headers or metadata, by name in lower case.
            http: Facts about a REST request; a call over gRPC has none.
        """

    def begin_message(self, call: Call, stream: Trace) -> None:
        """Gives a message the trace of its stream."""

    def end(self, call: Call, code: str) -> None:
        """Ends the spans of a call that was begun.

        Args:
            call: The call, as it ended.
            code: ``ok`` or a kind of error.
        """
