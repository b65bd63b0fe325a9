"""The limits that an operator sets for clients."""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests or rows within a time.

    Attributes:
        name: Its name for clients, metrics and messages.
        unit: ``requests`` or ``rows``.
        quota: How many.
        window: Seconds in which that many become free.
    """

    name: str
    unit: str
    quota: int
    window: int


@dataclass(frozen=True, slots=True)
class InFlight:
    """So many requests or bytes at a time.

    Attributes:
        name: Its name for metrics and messages.
        most: How many requests, or bytes.
    """

    name: str
    most: int


@dataclass(frozen=True, slots=True)
class LimitRule:
    """What clients may ask of models, each client of each model by itself.

    Attributes:
        clients: Patterns of their names; ``*`` is any, also a client without a name.
        models: Patterns of their names.
        rates: All of them hold.
        requests: How many may be in flight.
        size: How many bytes of requests may be in flight.
    """

    clients: tuple[str, ...]
    models: tuple[str, ...]
    rates: tuple[Rate, ...] = ()
    requests: InFlight | None = None
    size: InFlight | None = None

    def holds_for(self, client: str, model: str) -> bool:
        """Returns whether it is about this client and this model."""
        return any(fnmatchcase(client, pattern) for pattern in self.clients) and any(
            fnmatchcase(model, pattern) for pattern in self.models
        )
