"""Spans, as far as the core has to know them: what a call and a run carry with them where they are traced.

Where nothing is traced there is ``None`` in place of each, so that all it costs is to look.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from service.core.model_version import ModelVersion
from service.errors import OK, ErrorKind, GatewayError

Metadata = tuple[tuple[str, str], ...]


class Attempt(Protocol):
    """A run while one replica has it."""

    @property
    def metadata(self) -> Metadata:
        """Metadata that makes the replica's spans part of the trace (https://www.w3.org/TR/trace-context/)."""

    def end(self, code: str) -> None:
        """Ends it with ``ok`` or a kind of error."""


class Run(Protocol):
    """One run of the backend."""

    def attempt(self, method: str, replica: str) -> Attempt:
        """Begins to ask a replica.

        Args:
            method: Full name of the gRPC method.
            replica: Its address.
        """

    def end(self, code: str) -> None:
        """Ends it with ``ok`` or a kind of error."""


class Trace(Protocol):
    """The place of one call in its trace."""

    @property
    def trace_id(self) -> str:
        """Id of the trace: 32 hex digits."""

    @property
    def span_id(self) -> str:
        """Id of the call's own span: 16 hex digits."""

    @property
    def sampled(self) -> bool:
        """Whether its spans are recorded."""

    def run(self, version: ModelVersion, rows: int, merged: "Sequence[Trace]") -> Run:
        """Begins a run.

        Args:
            version: What is run.
            rows: How many rows, of all requests.
            merged: The traces of all requests that are run together, this one's among them.
        """


_current: ContextVar[Run | None] = ContextVar("tensorgate_run", default=None)


@contextmanager
def running(run: Run) -> Iterator[None]:
    """Makes it the current run of this task while the body lasts, and ends it as the body ends."""
    token = _current.set(run)
    code: str = OK
    try:
        yield
    except GatewayError as error:
        code = error.kind
        raise
    except asyncio.CancelledError:
        code = ErrorKind.CANCELLED
        raise
    except BaseException:
        code = ErrorKind.INTERNAL
        raise
    finally:
        _current.reset(token)
        run.end(code)


def current_run() -> Run | None:
    """Returns the run that this task is part of, if it is traced."""
    return _current.get()
