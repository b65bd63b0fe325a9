"""One call, over whatever transport: id, place, deadline, decode, handle, encode, report."""

import asyncio
import itertools
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from service.core import call as calls
from service.core.admission import Admission, HeldBytes
from service.core.call import Call
from service.core.client_address import client_at
from service.core.deadline import Deadline
from service.core.identity import Authenticator
from service.core.residence import Residence, StandbyError
from service.core.rights import Access
from service.core.tracing import Tracer
from service.errors import OK, ErrorKind, GatewayError, OutdatedVersionError, as_gateway_error

Report = Callable[[Call, str], None]
"""Takes each finished call and its code."""

REQUEST_ID = "x-request-id"
"""Header, and metadata key."""
OTHER_METHOD = "_other"
"""The method of calls to unknown paths: what clients make up never becomes a metric's label."""

_MOST_TRIES = 8
"""Tries of one request, each after a version was loaded: each time it was another one, or had left again at once."""
_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count()

OutT = TypeVar("OutT")
RefusalT = TypeVar("RefusalT")


@dataclass(frozen=True, slots=True)
class Calls:
    """Runs calls.

    Attributes:
        admission: Holds the places of calls in flight, and counts the bytes that they hold.
        default_timeout: Seconds for a call that states none.
        max_timeout: Seconds at most, whatever a call states.
        report: Takes each finished call and its code.
        tracer: Begins their traces, where there are any.
        authenticator: Finds out who sends them, where access is controlled.
        by_address: Whether clients that do not identify themselves are told apart by their address.
    """

    admission: Admission
    default_timeout: float
    max_timeout: float
    report: Report
    tracer: Tracer | None = None
    authenticator: Authenticator | None = None
    by_address: bool = False

    def deadline(self, wanted: float | None, *, sooner: float = 0.0) -> Deadline:
        """Returns the deadline of a call that begins now and wants that many seconds.

        Args:
            wanted: As the client asked, if it did.
            sooner: Seconds by which the client is to be told before it gives up.
        """
        return Deadline.after(min(self.default_timeout if wanted is None else wanted, self.max_timeout), sooner=sooner)

    async def run_call(
        self,
        work: Callable[[HeldBytes], Awaitable[OutT]],
        call: Call,
        refuse: Callable[[GatewayError, Call], RefusalT],
        *,
        place: str | None,
        reads: bool = False,
    ) -> OutT | RefusalT:
        """Does what every call needs around its work: deadline, identity, place, errors, report.

        Args:
            work: Answers the call.
            call: The state of the call.
            refuse: Turns an error into the answer.
            place: What the call takes a place of: ``requests`` or ``streams``; ``None`` for probes, which are not
                limited, and reported only when they fail.
            reads: Whether the work reads a body first, and takes the place then (`HeldBytes.admit`): a client that does
                not send what it announced keeps no place from others.

        Raises:
            CancelledError: When the client went away.
        """
        calls.enter(call)
        code: str = OK
        try:
            # The deadline bounds the time that reading takes, too.
            with call.deadline.enforced():
                if self.authenticator is not None:
                    await _authenticate(call, self.authenticator)
                call.client = call.identity.name or (client_at(call.peer) if self.by_address else "")
                with self.admission.admitted(place, call.client, later=reads) as held:
                    call.hold = held.take
                    return await work(held)
        except asyncio.CancelledError:
            if self.admission.draining.is_set():
                code = ErrorKind.NOT_READY
                call.detail = "the server went down before the answer was there"
                return refuse(GatewayError(code, call.detail), call)
            code = ErrorKind.TIMEOUT if call.deadline.has_passed else ErrorKind.CANCELLED
            call.detail = "the client went away"
            raise
        except Exception as raised:
            error = as_gateway_error(raised)
            code, call.detail = error.kind, error.message
            # The frames in its traceback refer to the request, and to the error itself.
            return refuse(error.with_traceback(None), call)
        finally:
            call.close()
            if place is not None or code != OK:
                self.report(call, str(code))


async def _authenticate(call: Call, authenticator: Authenticator) -> None:
    """Notes on a call who sends it; a public one is answered whatever it shows.

    Raises:
        GatewayError: UNAUTHENTICATED; FORBIDDEN where it may ask that of no model at all.
    """
    try:
        call.identity = await authenticator.identify(call.metadata, call.certificate)
    except GatewayError:
        if call.access is not Access.PUBLIC:
            raise
        return
    if call.access is not Access.PUBLIC and not call.identity.rights.allow_some(call.access):
        text = f"this needs the right to {call.access}, which {call.identity.name!r} has on no model"
        raise GatewayError(ErrorKind.FORBIDDEN, text)


async def answered_again(answer: Callable[[], Awaitable[OutT]], call: Call, held: HeldBytes) -> OutT:
    """Returns the answer; where the version that the request was resolved to has left, that of a second try.

    A request that named no version is then answered by the next one, and one that did is told that it is gone. Where
    the version is not in memory, the second try is made when it is; and one more where it is another one's turn then.

    Args:
        answer: Resolves the request and answers it; may be called several times.
        call: The call that it answers.
        held: Gets back what a try has taken before the next one takes it again.

    Raises:
        Exception: What ``answer`` raises, and what `Call.load` does.
    """
    awaited: Residence | None = None
    is_outdated = False
    before = held.taken
    for _ in range(_MOST_TRIES):  # out here, so that the errors of one try do not refer to those of another
        if awaited is not None:
            await call.load(awaited)
        try:
            return await answer()
        except OutdatedVersionError:
            if is_outdated:
                raise
            is_outdated, awaited = True, None
        except StandbyError as standby:
            awaited = standby.residence
        held.give_back(held.taken - before)
    text = f"its version left memory {_MOST_TRIES} times while the request waited"
    raise GatewayError(ErrorKind.NOT_READY, text)


def request_id_of(given: str | None) -> str:
    """Returns the client's own id where it is 1 to 128 printable ASCII characters, else a new one: 32 hex digits.

    Half of them are this process's, drawn when it started; the others count: to draw all of them costs a system call.
    """
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_PROCESS}{next(_NUMBERS):016x}"
