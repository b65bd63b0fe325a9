"""The pool: which replica gets a request, and what happens when it does not answer."""

import logging
from collections.abc import Awaitable, Callable, Iterable

from service.backends.tfserving.budget import RetryBudget
from service.backends.tfserving.replica import AttemptError, EjectedError, Key, Replica
from service.core.call import Deadline
from service.core.replicas import ReplicaObserver, ReplicaState
from service.errors import ErrorKind, GatewayError, OutdatedVersionError
from service.wire import tensorflow_serving_pb2 as pb

logger = logging.getLogger(__name__)

_IN_ROTATION = frozenset({ReplicaState.SERVING})
_LAST_RESORT = frozenset({ReplicaState.EJECTED})


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
        replicas: All that there are, by name.
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

    def serving(self) -> list[Replica]:
        """Returns the replicas that get requests."""
        return [replica for replica in self.replicas.values() if replica.state in _IN_ROTATION]

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
        tried: set[Replica] = set()
        while True:
            try:
                replica = self._chosen(key, tried)
            except OutdatedVersionError:
                await self._look_again()  # so that who resolves the request anew finds what there is now
                raise
            try:
                return await replica.predict(request, deadline)
            except EjectedError:
                reason, error = "ejected", _unavailable("the replica stopped answering")
            except AttemptError as failed:
                error = failed.failure.error
                if not failed.failure.retryable:
                    raise error from None
                reason = "version" if isinstance(error, OutdatedVersionError) else str(error.kind)
            tried.add(replica)
            if isinstance(error, OutdatedVersionError):
                _forget(replica, key)
            if self._may_retry(key, tried, deadline):
                self._observer.retried(reason)
                continue
            if isinstance(error, OutdatedVersionError):
                await self._look_again()
            raise error

    def _chosen(self, key: Key, tried: Iterable[Replica]) -> Replica:
        """Returns the replica with the least to do, of those not tried yet if there are any.

        Raises:
            GatewayError: OutdatedVersionError or BACKEND_UNAVAILABLE when there is none.
        """
        having = [replica for replica in self.replicas.values() if replica.serves(key)]
        for states in (_IN_ROTATION, _LAST_RESORT):
            able = [replica for replica in having if replica.state in states]
            if fresh := [replica for replica in able if replica not in tried]:
                able = fresh
            if able:
                chosen = min(able, key=lambda replica: (replica.in_flight, replica.used))
                self._sent += 1
                chosen.used = self._sent
                return chosen
        if self.serving():
            raise OutdatedVersionError("the version is on no replica any more; try again")
        raise _unavailable("no replica of the backend answers")

    def _may_retry(self, key: Key, tried: set[Replica], deadline: Deadline) -> bool:
        if len(tried) > self._max_retries or deadline.remaining() <= 0:
            return False
        # With nobody else to ask, the same replica would be asked again at once: that helps nobody.
        others = (replica for replica in self.replicas.values() if replica not in tried)
        if not any(replica.serves(key) and replica.state is not ReplicaState.CONNECTING for replica in others):
            return False
        if self._budget.spend():
            return True
        self._observer.retry_refused()
        return False


def _forget(replica: Replica, key: Key) -> None:
    replica.versions = {other: status for other, status in replica.versions.items() if other != key}


def _unavailable(message: str) -> GatewayError:
    return GatewayError(ErrorKind.BACKEND_UNAVAILABLE, message)
