"""Limits and marks that every request gets, on either transport."""

import itertools
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from service.core.call import Call, Deadline

Report = Callable[[Call, str], None]
"""Takes each finished call and its code."""

REQUEST_ID = "x-request-id"
"""Header, and metadata key."""
OTHER_METHOD = "_other"
"""The method of a call to none of ours: what clients make up is no label."""

_REQUEST_ID = re.compile(r"[!-~]{1,128}")
_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """How long a request may take.

    Attributes:
        default_timeout: Seconds for a request that states none.
        max_timeout: Seconds at most, whatever a request states.
    """

    default_timeout: float
    max_timeout: float

    def deadline(self, wanted: float | None) -> Deadline:
        """Returns the deadline of a request that begins now and wants that many seconds."""
        return Deadline.after(min(self.default_timeout if wanted is None else wanted, self.max_timeout))


def request_id_of(given: str | bytes | None) -> str:
    """Returns the client's own id where it is 1 to 128 printable ASCII characters, else a new one: 32 hex digits.

    Half of them are this process's, drawn when it started; the others count: to draw all of them costs a system call.
    """
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return f"{_PROCESS}{next(_NUMBERS):016x}"
