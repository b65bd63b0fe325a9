"""One call: its method, its model, its deadline, and where its time went.

The transport makes a `Call` for each request; whoever handles the request adds to it; metrics, the access log and
the answer's headers are all read from it.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType
from typing import cast

from service.errors import ErrorKind, GatewayError


@dataclass(slots=True)  # not frozen, as every call has one: that would make it three times as slow to create
class Deadline:
    """The instant after which nobody waits for the answer. Not to be changed.

    Attributes:
        at: In seconds of the monotonic clock, which is the event loop's clock too.
        allowed: How many seconds there were at the start; for the error text.
    """

    at: float
    allowed: float

    @classmethod
    def after(cls, seconds: float, *, sooner: float = 0.0) -> "Deadline":
        """Returns the deadline that many seconds from now, or by so many sooner than is said of it."""
        return cls(time.monotonic() + seconds - sooner, seconds)

    def remaining(self) -> float:
        """Returns the seconds that are left; negative when the deadline has passed."""
        return self.at - time.monotonic()

    def enforced(self) -> "_Enforced":
        """Returns what cancels its body when the deadline passes, and does not begin it when that has happened already.

        It raises GatewayError: TIMEOUT, in place of the body's outcome.
        """
        return _Enforced(self)

    def timeout(self) -> GatewayError:
        """Returns the error of a request whose deadline has passed."""
        return GatewayError(ErrorKind.TIMEOUT, f"no answer within the {self.allowed:.3g} s that the request allowed")


NO_DEADLINE = Deadline(math.inf, math.inf)
"""Of what may take as long as it wants."""


class _Enforced:
    """A deadline held to, as `asyncio.timeout_at` holds to one; a class of its own, as every request passes it."""

    __slots__ = ("_cancellations", "_deadline", "_passed", "_task", "_timer")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._passed = False
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        if self._deadline.remaining() <= 0:
            raise self._deadline.timeout()
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._cancellations = self._task.cancelling()
        if self._deadline.at != math.inf:
            self._timer = self._task.get_loop().call_at(self._deadline.at, self._pass)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # it refers to this, and this refers to it
        # Where somebody else has cancelled the task as well, it stays cancelled.
        if self._passed and self._task.uncancel() <= self._cancellations and kind is asyncio.CancelledError:
            raise self._deadline.timeout() from None

    def _pass(self) -> None:
        self._passed = True
        self._task.cancel()


def _hold_nothing(_: int) -> None:
    """Counts nothing: what is held outside of any limit."""


@dataclass(slots=True)
class Call:
    """The state of one request while it is handled.

    Attributes:
        protocol: ``rest`` or ``grpc``.
        method: What was called: a route's template or a gRPC method's name; never the client's own text.
        request_id: The client's, or one of ours.
        deadline: When the answer is no longer wanted.
        model: Name of the model, once the catalog has found it.
        version: Version of the model, once the catalog has found it.
        size: Bytes of the request as it came.
        rows: How many rows were run.
        messages: How many messages of a stream were answered, each with a call of its own.
        phases: Seconds spent, by phase: decode, validate, queue, execute, encode.
        metadata: What a gRPC client sent beside the messages of a stream, by name.
        hold: Counts bytes that the request makes the server hold beyond those that it sent, such as what a compressed
            body unpacks to; raises OVERLOADED where there are too many.
    """

    protocol: str
    method: str
    request_id: str
    deadline: Deadline
    started: float = field(default_factory=time.perf_counter)
    model: str | None = None
    version: int | None = None
    size: int = 0
    rows: int = 0
    messages: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    hold: Callable[[int], None] = _hold_nothing

    def phase(self, name: str) -> "_Phase":
        """Returns what adds the time that its body takes to the phase of that name."""
        return _Phase(self, name)

    def add(self, name: str, seconds: float) -> None:
        """Adds seconds to the phase of that name."""
        self.phases[name] = self.phases.get(name, 0.0) + seconds

    def spent(self, name: str, since: float) -> None:
        """Adds the time since then, by the performance counter, to a phase: what `phase` does, at less cost."""
        phases = self.phases
        phases[name] = phases.get(name, 0.0) + time.perf_counter() - since

    def elapsed(self) -> float:
        """Returns the seconds since the call began."""
        return time.perf_counter() - self.started


class _Phase:
    """A phase while it lasts; a class, and no generator, as every request passes several."""

    __slots__ = ("_begun", "_call", "_name")

    def __init__(self, call: Call, name: str) -> None:
        self._call = call
        self._name = name
        self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._call.add(self._name, time.perf_counter() - self._begun)


_current: ContextVar[Call] = ContextVar("tensorgate_call")


def enter(call: Call) -> None:
    """Makes it the current call of this task and of the tasks that it starts."""
    _current.set(call)


def current() -> Call:
    """Returns the call that this task handles.

    Raises:
        LookupError: Outside of any call. This is a bug.
    """
    return _current.get()


def current_or_none() -> Call | None:
    """Returns the call that this task handles, if it handles one."""
    return _current.get(None)
