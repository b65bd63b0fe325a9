"""One call: its method, its model, its deadline, and where its time went.

The transport makes a `Call` for each request; whoever handles the request adds to it; metrics, the access log and
the answer's headers are all read from it.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from service.core.deadline import Deadline
from service.core.identity import ANYBODY, Identity, PeerCertificate
from service.core.rate_limits import Lease
from service.core.residence import Residence
from service.core.rights import Access
from service.core.spans import Trace
from service.core.traffic_split import SESSION

_TELLING_SECONDS = 0.05
"""How long before its deadline a call is told that what it waits for is not loaded yet."""


def _hold_nothing(_: int) -> None:
    """Counts nothing: for calls outside of any limit."""


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
        asked: The name that the client gave, cut short, where the catalog has no such model; never a metric's label.
        access: What it asks for, as its method or route says.
        identity: Who sends it, once that is known.
        client: The client whose share it takes, where the server tells clients apart; else empty.
        peer: Host and port of who sent it; or what returns it as text.
        certificate: The certificate that the client has shown in the TLS handshake, if it has one.
        detail: What went wrong, for people.
        size: Bytes of the request as it came.
        answered: Bytes of the answer, before any framing.
        rows: How many rows were run.
        messages: How many messages of a stream were answered, each with a call of its own.
        phases: Seconds spent, by phase: load, decode, validate, queue, execute, encode.
        status: The answer's HTTP or gRPC status; 0 while there is none, and for gRPC's OK.
        trace: Its place in a trace, if it is traced.
        intervals: Each time that it passed a phase, where spans are made of that: the phase's name, and when it began
            and ended by the performance counter.
        metadata: What the client sent beside its messages or its body, by name; of several of one name, any.
        change: What it is to change, in words, for the audit log.
        lease: What it takes of its client's limits, where there are any.
        residence: The residence of the version that it keeps in memory, where versions may leave memory.
        was_split: Whether a split decided which version answers it.
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
    asked: str | None = None
    access: Access = Access.AUTHENTICATED
    identity: Identity = ANYBODY
    client: str = ""
    peer: tuple[str, int] | Callable[[], str] | None = None
    certificate: PeerCertificate | None = None
    detail: str = ""
    size: int = 0
    answered: int = 0
    rows: int = 0
    messages: int = 0
    phases: dict[str, float] = field(default_factory=dict)
    status: int = 0
    trace: Trace | None = None
    intervals: list[tuple[str, float, float]] | None = None
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)
    change: str = ""
    lease: Lease | None = None
    residence: Residence | None = None
    was_split: bool = False
    hold: Callable[[int], None] = _hold_nothing

    def split_key(self) -> str | None:
        """Returns what decides which version answers, where several share the requests: its session, else its id.

        What asks about a model, rather than the model, has no share without a session: the heaviest version answers.
        """
        if (session := self.metadata.get(SESSION)) is not None:
            key = "session\0" + session.decode("latin-1")
        elif self.access is Access.INFER:
            key = "request\0" + self.request_id
        else:
            return None
        self.was_split = True
        return key

    def use(self, residence: Residence) -> None:
        """Keeps a version in memory until the call ends, or uses another one."""
        if self.residence is not residence:
            self._let_go()
            residence.enter()
            self.residence = residence

    async def load(self, residence: Residence) -> None:
        """Waits until a version is in memory, and uses it then; or until that has failed, as its entry says.

        Raises:
            GatewayError: NOT_READY or OVERLOADED, see `Residence.load`.
        """
        self._let_go()  # what it used may be what has to leave
        begun = time.perf_counter()
        try:
            if await residence.load(self.deadline.remaining() - _TELLING_SECONDS):
                self.residence = residence
        finally:
            self.spent("load", begun)

    def _let_go(self) -> None:
        if self.residence is not None:
            self.residence.leave()
            self.residence = None

    def close(self) -> None:
        """Gives back what it has taken."""
        if self.lease is not None:
            self.lease.close()
        self._let_go()

    def phase(self, name: str) -> "_Phase":
        """Returns a context that adds the time that its body takes to the phase of that name."""
        return _Phase(self, name)

    def took(self, name: str, since: float, until: float) -> None:
        """Adds the time between these, by the performance counter, to the phase of that name."""
        phases = self.phases
        phases[name] = phases.get(name, 0.0) + until - since
        if self.intervals is not None:
            self.intervals.append((name, since, until))

    def spent(self, name: str, since: float) -> None:
        """Adds the time since then, by the performance counter, to a phase: what `phase` does, at less cost."""
        self.took(name, since, time.perf_counter())

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
        self._call.took(self._name, self._begun, time.perf_counter())


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
