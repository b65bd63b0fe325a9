"""Replicas of a backend: their status, and who is notified of what happens to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from service.core.model_version import ModelVersion


class ReplicaState(StrEnum):
    """Where a replica stands."""

    CONNECTING = "connecting"
    """It has not answered yet."""
    SERVING = "serving"
    """It gets requests."""
    NOT_SERVING = "not_serving"
    """It answers, and reports that it is not to get any: it loads, or goes down."""
    EJECTED = "ejected"
    """It failed, and gets none until it answers again."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A snapshot of a replica.

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
        """Reports that a request to a replica is over, with ``ok`` or a kind of error, after so many seconds."""

    def ejected(self, replica: str, reason: str) -> None:
        """Reports that a replica gets no requests for now, for the reason ``probe`` or ``failures``."""

    def left(self, replica: str) -> None:
        """Reports that there is no such replica any more."""

    def retried(self, reason: str) -> None:
        """Reports a retry: the reason is ``backend_unavailable``, ``overloaded``, ``ejected`` or ``version``."""

    def retry_refused(self) -> None:
        """Reports that a failed request was not retried: there have been too many retries of late."""


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
        """Returns a snapshot of each replica."""

    def serving(self, version: ModelVersion | None = None) -> int:
        """Returns how many replicas share the runs of a version, or all runs; 1 at least."""
