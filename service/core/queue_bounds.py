"""How many requests may wait: for each model, of each client."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from service.core.batch_policy import BatchPolicy
from service.core.client_share import leaves_room
from service.core.request import InferenceRequest
from service.errors import ErrorKind, GatewayError


@dataclass(slots=True)
class Waiting:
    """The requests that wait within one bound.

    Attributes:
        model: The model that they are for.
        signature: The signature that they are for, where it has a bound of its own.
        total: How many there are.
        clients: How many there are by client, where the server tells clients apart.
    """

    model: str
    signature: str | None
    total: int = 0
    clients: Counter[str] = field(default_factory=Counter)


class QueueBounds:
    """Counts the requests that wait, and refuses those that are too many.

    Args:
        client_share: Share of a queue's places that one client may have: see `leaves_room`.
    """

    def __init__(self, client_share: float) -> None:
        self._share = client_share
        self._waiting: dict[tuple[str, str | None], Waiting] = {}

    def waiting(self) -> Mapping[str, int]:
        """Returns how many requests wait for each model."""
        counts: Counter[str] = Counter()
        for waiting in self._waiting.values():
            counts[waiting.model] += waiting.total
        return counts

    def enter(self, request: InferenceRequest, policy: BatchPolicy, client: str) -> Waiting:
        """Counts a request that waits.

        Returns:
            Where it is counted.

        Raises:
            GatewayError: OVERLOADED.
        """
        key = request.version.name, request.signature.name if policy.has_own_queue else None
        waiting = self._waiting.get(key) or Waiting(*key)
        free = policy.max_queue_size - waiting.total
        if free <= 0:
            text = f"{waiting.total} requests wait for {_whom(waiting)}, as many as max_queue_size admits"
            raise GatewayError(ErrorKind.OVERLOADED, text)
        if client:
            if not leaves_room(waiting.clients[client], free, self._share):
                text = (
                    f"{waiting.clients[client]} requests of this client wait for {_whom(waiting)}, as many as "
                    f"max_client_share admits of one: the {free} places that are free are left to others"
                )
                raise GatewayError(ErrorKind.OVERLOADED, text)
            waiting.clients[client] += 1
        waiting.total += 1
        self._waiting[key] = waiting
        return waiting

    def leave(self, waiting: Waiting, client: str) -> None:
        """Counts a request that waits no longer.

        Args:
            waiting: Where it was counted.
            client: Who sent it.
        """
        waiting.total -= 1
        if client:
            waiting.clients[client] -= 1
            if not waiting.clients[client]:
                del waiting.clients[client]
        if not waiting.total:
            del self._waiting[waiting.model, waiting.signature]


def _whom(waiting: Waiting) -> str:
    if waiting.signature is None:
        return f"model {waiting.model!r}"
    return f"signature {waiting.signature!r} of model {waiting.model!r}"
