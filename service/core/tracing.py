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
        method: Of HTTP, as it came.
        path: As it came, without the query.
        version: Of HTTP.
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
            call: As it begins.
            headers: Or metadata, by name in lower case.
            http: Of REST; a call over gRPC has none.
        """

    def begin_message(self, call: Call, stream: Trace) -> None:
        """Gives a message the trace of its stream."""

    def end(self, call: Call, code: str) -> None:
        """Ends the spans of a call that was begun.

        Args:
            call: As it ended.
            code: ``ok`` or a kind of error.
        """
