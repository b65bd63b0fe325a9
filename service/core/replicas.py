"""Replicas of a backend: their status, and who is notified of what happens to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from service.core.catalog import ModelVersion


class ReplicaState(StrEnum):
    """Where a replica stands."""

    CONNECTING = "connecting"
    """It has not answered yet."""
    SERVING = "serving"
    """It gets requests."""
    NOT_SERVING = "not_serving"
    """It answers, and says that it is not to get any: it loads, or goes down."""
    EJECTED = "ejected"
    """It failed, and gets none until it answers again."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica as it stands.

    Attributes:
        name: Its address.
        in_flight: Requests to it that are not answered yet.
    """

    name: str
    state: ReplicaState
    in_flight: int


class ReplicaObserver(Protocol):
    """Is notified of what happens to replicas."""

    def attempted(self, replica: str, code: str, seconds: float) -> None:
        """A request to a replica is over: ``ok``, or a kind of error."""

    def ejected(self, replica: str, reason: str) -> None:
        """A replica gets no requests for now: ``probe`` or ``failures``."""

    def left(self, replica: str) -> None:
        """There is no such replica any more."""

    def retried(self, reason: str) -> None:
        """A request goes to another replica: ``backend_unavailable``, ``overloaded``, ``ejected`` or ``version``."""

    def retry_refused(self) -> None:
        """A request that failed was not tried again: there have been too many retries of late."""


class NullObserver:
    """Ignores all notifications."""

    def attempted(self, replica: str, code: str, seconds: float) -> None:
        """Does nothing."""

    def ejected(self, replica: str, reason: str) -> None:
        """Does nothing."""

    def left(self, replica: str) -> None:
        """Does nothing."""

    def retried(self, reason: str) -> None:
        """Does nothing."""

    def retry_refused(self) -> None:
        """Does nothing."""


@runtime_checkable
class ReplicatedBackend(Protocol):
    """A backend that spreads its runs over replicas."""

    def replicas(self) -> Sequence[ReplicaStatus]:
        """Returns all replicas as they stand."""

    def serving(self, version: ModelVersion | None = None) -> int:
        """Returns how many replicas share the runs of a version, or all runs; 1 at least."""
