"""The pool: which replica gets a request, and which one next when that gives no answer."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from service.backends.tfserving.connection import CallError
from service.backends.tfserving.replica import EjectedError, Key, Replica
from service.core.deadline import Deadline
from service.core.replicas import ReplicaObserver, ReplicaState
from service.core.retry_budget import RetryBudget
from service.errors import ErrorKind, GatewayError, OutdatedVersionError
from service.wire import tensorflow_serving_pb2 as pb

_MAX_CRASHES = 2
"""Replicas whose connection may break on one request: a request that crashes them is not to crash them all."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The replicas that have a version.

    Attributes:
        serving: Those that get requests.
        ejected: Those that do not; asked when there are no others.
    """

    serving: tuple[Replica, ...]
    ejected: tuple[Replica, ...]


class Pool:
    """Sends each request to the replica with the fewest requests in flight, and retries on another where that is safe.

    An inference changes nothing, so it may be run twice. It is retried when a replica could not be reached, is going
    down, has no room, lost the version, sent bytes that are no message, or was ejected while it worked on it; never
    when it answered.

    Args:
        max_retries: How often one request may be retried.
        budget: How often all of them together may be.
        observer: Gets reports of retries.
        refresh: Asks all replicas what they serve; called when a version turns out to be on none any more.

    Attributes:
        replicas: All that there are, by name; who changes it calls `changed`.
    """

    def __init__(
        self,
        *,
        max_retries: int,
        budget: RetryBudget,
        observer: ReplicaObserver,
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self.replicas: dict[str, Replica] = {}
        self._max_retries = max_retries
        self._budget = budget
        self._observer = observer
        self._refresh = refresh
        self._sent = 0
        self._candidates: dict[Key, _Candidates] = {}
        self._serving: list[Replica] | None = None

    def changed(self) -> None:
        """Forgets what was worked out: a replica's state or versions have changed, or there are other replicas."""
        self._candidates.clear()
        self._serving = None

    def serving(self) -> list[Replica]:
        """Returns the replicas that get requests."""
        if self._serving is None:
            self._serving = [one for one in self.replicas.values() if one.state is ReplicaState.SERVING]
        return self._serving

    def count(self, key: Key) -> int:
        """Returns how many replicas get requests for a version."""
        return len(self._candidates_for(key).serving)

    async def predict(self, key: Key, request: bytes, deadline: Deadline) -> pb.PredictResponse:
        """Has a serialized ``PredictRequest`` answered.

        Args:
            key: Name and version of the model that it is for.
            request: The message.
            deadline: After which nobody waits.

        Raises:
            GatewayError: What it failed with in the end; BACKEND_UNAVAILABLE when there is no replica to ask.
        """
        tried: list[Replica] = []
        crashes = 0
        while True:
            try:
                replica = self._choose(key, tried)
            except OutdatedVersionError:
                await self._refresh()  # so that who resolves the request anew finds what there is now
                raise
            try:
                return await replica.predict(request, deadline, replaceable=self.count(key) > 1)
            except EjectedError:
                reason, error = "ejected", _unavailable("the replica stopped answering")
            except CallError as failed:
                error = failed.failure.error
                crashes += failed.failure.crashed
                if not failed.failure.retryable:
                    raise error from None
                reason = "version" if isinstance(error, OutdatedVersionError) else str(error.kind)
            tried.append(replica)
            if isinstance(error, OutdatedVersionError):
                replica.report_missing(key)
            if crashes < _MAX_CRASHES and self._may_retry(key, tried, deadline):
                self._observer.retried(reason)
                continue
            if isinstance(error, OutdatedVersionError):
                await self._refresh()
            raise error

    async def predict_on(self, replica: Replica, request: bytes, deadline: Deadline) -> pb.PredictResponse:
        """Has one replica answer, without retries.

        Raises:
            GatewayError: What it failed with.
        """
        try:
            return await replica.predict(request, deadline)
        except EjectedError:
            raise _unavailable("the replica stopped answering") from None
        except CallError as failed:
            raise failed.failure.error from None

    def _candidates_for(self, key: Key) -> _Candidates:
        candidates = self._candidates.get(key)
        if candidates is None:
            having = [replica for replica in self.replicas.values() if replica.serves(key)]
            candidates = self._candidates[key] = _Candidates(
                tuple(replica for replica in having if replica.state is ReplicaState.SERVING),
                tuple(replica for replica in having if replica.state is ReplicaState.EJECTED),
            )
        return candidates

    def _choose(self, key: Key, tried: Collection[Replica]) -> Replica:
        """Returns the replica with the fewest requests in flight, of those not tried yet if there are any.

        Raises:
            GatewayError: OutdatedVersionError or BACKEND_UNAVAILABLE when there is none.
        """
        candidates = self._candidates_for(key)
        for replicas in (candidates.serving, candidates.ejected):
            untried = [replica for replica in replicas if replica not in tried] if tried else replicas
            if choice := untried or replicas:
                chosen = min(choice, key=lambda replica: (replica.backing_off, replica.in_flight, replica.last_used))
                self._sent += 1
                chosen.last_used = self._sent
                return chosen
        if self.serving():
            raise OutdatedVersionError("the version is on no replica any more; try again")
        raise _unavailable("no replica of the backend answers")

    def _may_retry(self, key: Key, tried: Collection[Replica], deadline: Deadline) -> bool:
        if len(tried) > self._max_retries or deadline.remaining() <= 0:
            return False
        candidates = self._candidates_for(key)
        # With nobody else to ask, the same replica would be asked again at once: that helps nobody.
        if all(replica in tried for replica in (*candidates.serving, *candidates.ejected)):
            return False
        if self._budget.take_retry():
            return True
        self._observer.retry_refused()
        return False


def _unavailable(message: str) -> GatewayError:
    return GatewayError(ErrorKind.BACKEND_UNAVAILABLE, message)
