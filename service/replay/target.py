"""What every server that is asked has in common, whatever it speaks: whom to ask, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.core.record import Record
from service.core.tensors import Tensor
from service.errors import OK

UNNAMED = ""
"""What an output is called whose name the answer does not have."""
UNREACHABLE = "unreachable"
TIMED_OUT = "timeout"


class TargetError(Exception):
    """A server cannot be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Aim:
    """Which model is asked.

    Attributes:
        model: Its name; the recorded one where it is ``None``.
        version: Its version; the one that the server chooses where it is ``None``.
        label: Of its version; not together with that.
    """

    model: str | None = None
    version: int | None = None
    label: str | None = None

    def name(self, record: Record) -> str:
        """Returns the name of the model that is asked what was recorded."""
        return record.model if self.model is None else self.model


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        code: ``ok``, the name of a gRPC status, ``HTTP`` and a status, or one of this module's.
        outputs: Tensors by output name; `UNNAMED` where an answer has one and does not name it.
        message: What is said of a failure.
        seconds: From the request to the answer.
    """

    code: str
    outputs: Mapping[str, Tensor]
    message: str
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether there are outputs."""
        return self.code == OK

    @property
    def came(self) -> bool:
        """Whether the server answered, if only to refuse."""
        return self.code not in {UNREACHABLE, TIMED_OUT, "UNAVAILABLE", "DEADLINE_EXCEEDED"}


class Target(Protocol):
    """A server that can be asked, from several threads at a time."""

    def ask(self, record: Record) -> Answer:
        """Asks what was recorded; a failure is an answer too.

        Raises:
            GatewayError: NOT_SUPPORTED when the protocol has no form for a tensor.
        """

    def close(self) -> None:
        """Ends its connections."""
