"""What can go wrong with a request, named by meaning.

There is one exception, `GatewayError`, and one closed set of meanings, `ErrorKind`. Neither knows a protocol: each
transport has one table from kind to status, and a test walks the kinds to see that no table lacks a row.
"""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

OK = "ok"
"""The code of a request that succeeded, where the values of `ErrorKind` are those of the others."""

logger = logging.getLogger(__name__)


class ErrorKind(StrEnum):
    """The meaning of a failure; its value is the stable code that clients see on every protocol."""

    MALFORMED = "malformed"
    """The message could not be parsed at all."""
    INVALID_INPUT = "invalid_input"
    """The message was parsed, and something in it is wrong: a field, a dtype, a shape, a value."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """The message is in a format that is not understood here."""
    WRONG_MODEL_KIND = "wrong_model_kind"
    """The model exists and is of another kind than the request needs."""
    TOO_LARGE = "too_large"
    """The message, or what it holds, is over a limit."""
    MODEL_NOT_FOUND = "model_not_found"
    """There is no such model or version."""
    LABEL_NOT_FOUND = "label_not_found"
    """No version of the model has this label."""
    SIGNATURE_NOT_FOUND = "signature_not_found"
    """The model has no such signature."""
    PLOT_NOT_FOUND = "plot_not_found"
    """The model card has no such plot."""
    NOT_FOUND = "not_found"
    """There is no such method or path."""
    MISDIRECTED = "misdirected"
    """It is for a host that this server is not."""
    METHOD_NOT_ALLOWED = "method_not_allowed"
    """The path exists and does not take this verb."""
    NOT_SUPPORTED = "not_supported"
    """It is understood, and cannot be done here: by this backend, or in this format."""
    UNAUTHENTICATED = "unauthenticated"
    """It does not say who sends it, or what it says cannot be believed."""
    FORBIDDEN = "forbidden"
    """It could be done, and a setting says that it must not, or that not by this identity."""
    FAILED_PRECONDITION = "failed_precondition"
    """Something else would have to be so first, such as a version available before a label is put on it."""
    LOAD_FAILED = "load_failed"
    """A model could not be loaded on request."""
    NOT_READY = "not_ready"
    """The model is loading, or the server is shutting down."""
    RATE_LIMITED = "rate_limited"
    """Its sender has asked for more than it may within a time."""
    OVERLOADED = "overloaded"
    """As many requests are in flight as are admitted."""
    BACKEND_UNAVAILABLE = "backend_unavailable"
    """The backend could not be reached."""
    TIMEOUT = "timeout"
    """The deadline passed before the answer was there."""
    BACKEND_FAILED = "backend_failed"
    """The backend failed, or its answer made no sense."""
    CANCELLED = "cancelled"
    """The client went away."""
    INTERNAL = "internal"
    """Anything unexpected; clients see the request id and nothing else."""

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self in _RETRYABLE


_RETRYABLE = frozenset(
    {ErrorKind.NOT_READY, ErrorKind.RATE_LIMITED, ErrorKind.OVERLOADED, ErrorKind.BACKEND_UNAVAILABLE}
)

_SOON_SECONDS = 1
"""After which to try again where nothing better is known."""
_SHOWN_CHARACTERS = 80
_LONGEST_TEXT = 300
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with the input.

    Attributes:
        where: Path to it, such as ``images[2].pixels``; the same on every protocol.
        expected: What would have been right.
        got: What came instead, shortened.
    """

    where: str
    expected: str
    got: str

    def __post_init__(self) -> None:
        for name in ("where", "expected", "got"):
            text = _writable(getattr(self, name))
            if len(text) > _LONGEST_TEXT:  # a path may hold names that the client made up
                text = text[:_LONGEST_TEXT] + "…"
            object.__setattr__(self, name, text)

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}"


class GatewayError(Exception):
    """A failure that may be reported to the client.

    Args:
        kind: What the failure means.
        message: One sentence for people; safe to show to the client.
        violations: For bad input, each thing that is wrong.
        upstream: What TensorFlow said, or a TensorFlow Serving behind this server, word for word.
        retry_after: Seconds after which the same request may succeed, where that is known.
        limit: Name of the client's limit that is used up, if one is.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        violations: Iterable[Violation] = (),
        *,
        upstream: str = "",
        retry_after: float | None = None,
        limit: str = "",
    ) -> None:
        self.message = _writable(message)
        super().__init__(self.message)
        self.kind = kind
        self.violations = tuple(violations)
        self.upstream = upstream
        self.limit = limit
        self._retry_after = retry_after

    @property
    def retry_after(self) -> int | None:
        """Whole seconds after which to try again; ``None`` where that is of no use."""
        if not self.kind.retryable:
            return None
        return max(_SOON_SECONDS, math.ceil(self._retry_after or 0))

    def details(self) -> list[dict[str, str]]:
        """Returns the violations as every JSON body of ours shows them."""
        return [
            {"where": violation.where, "expected": violation.expected, "got": violation.got}
            for violation in self.violations
        ]

    def reworded(self, message: str) -> "GatewayError":
        """Returns the same failure in the words of a protocol that has its own."""
        return GatewayError(self.kind, message, self.violations, retry_after=self._retry_after, limit=self.limit)


class OutdatedVersionError(GatewayError):
    """The version that a request was resolved to has left the backend: the request is resolved and run once more.

    Args:
        message: One sentence for people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.NOT_READY, message)


class RunEndedError(GatewayError):
    """The process that ran a request has ended, for whatever reason: the request is run once more, by itself.

    Args:
        message: One sentence for people.
    """

    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.BACKEND_UNAVAILABLE, message)


def _writable(text: str) -> str:
    """Returns the text as UTF-8 can have it: half a character of a client's makes no error that cannot be told."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def invalid_input(*violations: Violation, kind: ErrorKind = ErrorKind.INVALID_INPUT) -> GatewayError:
    """Makes the error for input in which these things are wrong; the message names the first."""
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    return GatewayError(kind, f"{violations[0]}{more}", violations)


def as_gateway_error(error: Exception) -> GatewayError:
    """Returns what a client may know of the error: all of a `GatewayError`, nothing of any other, which is logged."""
    if isinstance(error, GatewayError):
        return error
    logger.error("unexpected error", exc_info=error)
    return GatewayError(
        ErrorKind.INTERNAL, "something went wrong here; the server's log says what, under this request id"
    )


def listed(names: Iterable[str]) -> str:
    """Returns the names as they may stand in an error: the first ten, and how many there are beyond."""
    names = list(names)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def shown(value: object) -> str:
    """Returns the value as it may stand in an error: on one line, and short whatever its size."""
    if isinstance(value, str):
        text = repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…")
    elif isinstance(value, bytes):
        text = f"{len(value)} bytes"
    elif isinstance(value, list | tuple):
        text = f"a list of {len(value)}"
    elif isinstance(value, dict):
        text = "an object"
    elif value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(value)
    return text if len(text) <= 2 * _SHOWN_CHARACTERS else text[: 2 * _SHOWN_CHARACTERS] + "…"


def not_installed(module: str | None, extra: str) -> str:
    """Says that a module is missing, and how to get it: from a clone, as no registry has this project."""
    return (
        f"{module} is not installed; it comes with the extra {extra}: pip install '.[{extra}]' in a clone of Tensorgate"
    )
