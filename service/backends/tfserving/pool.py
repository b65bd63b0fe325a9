"""The pool: which replica gets a request, and what happens when it does not answer."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from service.backends.tfserving.budget import RetryBudget
from service.backends.tfserving.connection import CallError
from service.backends.tfserving.replica import EjectedError, Key, Replica
from service.core.call import Deadline
from service.core.replicas import ReplicaObserver, ReplicaState
from service.errors import ErrorKind, GatewayError, OutdatedVersionError
from service.wire import tensorflow_serving_pb2 as pb

_MOST_LOST = 2
"""Replicas that one request may be lost on: a request that ends them is not to end them all."""


@dataclass(frozen=True, slots=True)
class _Able:
    """The replicas that have a version.

    Attributes:
        serving: Those that get requests.
        left_out: Those that were left out; asked when there are no others.
    """

    serving: tuple[Replica, ...]
    left_out: tuple[Replica, ...]


class Pool:
    """Sends each request to the replica that has the least to do, and to another one where that is safe and helps.

    An inference changes nothing, so it may be run twice. It is tried again when a replica could not be reached, is
    going down, has no room, lost the version, or was left out while it worked on it; never when it answered.

    Args:
        max_retries: How often one request may be tried again.
        budget: How often all of them together may be.
        observer: Is told of retries.
        look_again: Asks all replicas what they serve; called when a version turns out to be on none any more.

    Attributes:
        replicas: All that there are, by name; who changes it says so (`changed`).
    """

    def __init__(
        self,
        *,
        max_retries: int,
        budget: RetryBudget,
        observer: ReplicaObserver,
        look_again: Callable[[], Awaitable[None]],
    ) -> None:
        self.replicas: dict[str, Replica] = {}
        self._max_retries = max_retries
        self._budget = budget
        self._observer = observer
        self._look_again = look_again
        self._sent = 0
        self._known: dict[Key, _Able] = {}
        self._serving: list[Replica] | None = None

    def changed(self) -> None:
        """Notes that a replica's state or versions have changed, or that there are others."""
        self._known.clear()
        self._serving = None

    def serving(self) -> list[Replica]:
        """Returns the replicas that get requests."""
        if self._serving is None:
            self._serving = [one for one in self.replicas.values() if one.state is ReplicaState.SERVING]
        return self._serving

    def count(self, key: Key) -> int:
        """Returns how many replicas get requests for a version."""
        return len(self._able(key).serving)

    async def predict(self, key: Key, request: bytes, deadline: Deadline) -> pb.PredictResponse:
        """Has a serialized ``PredictRequest`` answered.

        Args:
            key: Name and version of the model that it is for.
            request: The message.
            deadline: After which nobody waits.

        Raises:
            GatewayError: What it failed with in the end; BACKEND_UNAVAILABLE when there is no replica to ask.
        """
        self._budget.earn()
        tried: list[Replica] = []
        lost = 0
        while True:
            try:
                replica = self._chosen(key, tried)
            except OutdatedVersionError:
                await self._look_again()  # so that who resolves the request anew finds what there is now
                raise
            try:
                return await replica.predict(request, deadline, replaceable=len(self._able(key).serving) > 1)
            except EjectedError:
                reason, error = "ejected", _unavailable("the replica stopped answering")
            except CallError as failed:
                error = failed.failure.error
                lost += failed.failure.lost
                if not failed.failure.retryable:
                    raise error from None
                reason = "version" if isinstance(error, OutdatedVersionError) else str(error.kind)
            tried.append(replica)
            if isinstance(error, OutdatedVersionError):
                replica.tells({other: status for other, status in replica.versions.items() if other != key})
            if lost < _MOST_LOST and self._may_retry(key, tried, deadline):
                self._observer.retried(reason)
                continue
            if isinstance(error, OutdatedVersionError):
                await self._look_again()
            raise error

    async def predict_on(self, replica: Replica, request: bytes, deadline: Deadline) -> pb.PredictResponse:
        """Has one replica answer, whatever becomes of it.

        Raises:
            GatewayError: What it failed with.
        """
        try:
            return await replica.predict(request, deadline)
        except EjectedError:
            raise _unavailable("the replica stopped answering") from None
        except CallError as failed:
            raise failed.failure.error from None

    def _able(self, key: Key) -> _Able:
        able = self._known.get(key)
        if able is None:
            having = [replica for replica in self.replicas.values() if replica.serves(key)]
            able = self._known[key] = _Able(
                tuple(replica for replica in having if replica.state is ReplicaState.SERVING),
                tuple(replica for replica in having if replica.state is ReplicaState.EJECTED),
            )
        return able

    def _chosen(self, key: Key, tried: Collection[Replica]) -> Replica:
        """Returns the replica with the least to do, of those not tried yet if there are any.

        Raises:
            GatewayError: OutdatedVersionError or BACKEND_UNAVAILABLE when there is none.
        """
        able = self._able(key)
        for replicas in (able.serving, able.left_out):
            fresh = [replica for replica in replicas if replica not in tried] if tried else replicas
            if candidates := fresh or replicas:
                chosen = min(candidates, key=lambda replica: (replica.rests, replica.in_flight, replica.used))
                self._sent += 1
                chosen.used = self._sent
                return chosen
        if self.serving():
            raise OutdatedVersionError("the version is on no replica any more; try again")
        raise _unavailable("no replica of the backend answers")

    def _may_retry(self, key: Key, tried: Collection[Replica], deadline: Deadline) -> bool:
        if len(tried) > self._max_retries or deadline.remaining() <= 0:
            return False
        able = self._able(key)
        # With nobody else to ask, the same replica would be asked again at once: that helps nobody.
        if all(replica in tried for replica in (*able.serving, *able.left_out)):
            return False
        if self._budget.spend():
            return True
        self._observer.retry_refused()
        return False


def _unavailable(message: str) -> GatewayError:
    return GatewayError(ErrorKind.BACKEND_UNAVAILABLE, message)
