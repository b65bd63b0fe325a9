"""Metrics and log of who asks."""

import logging
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from service.core.call import Call
from service.core.rights import Access
from service.errors import ErrorKind
from service.telemetry.logs import model_of, peer_of

_AUDIT = logging.getLogger("tensorgate.audit")
_AUDIT.setLevel(logging.INFO)  # whatever the lowest level of others is
_REFUSED = frozenset({ErrorKind.UNAUTHENTICATED.value, ErrorKind.FORBIDDEN.value})


class AccessMetrics:
    """Counts what is shown by those who ask, and looks for the keys of tokens.

    Args:
        registry: Of the server's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._shown = Counter(
            "tensorgate_authentication",
            "Keys, tokens and certificates that were shown, by what came of it.",
            ["method", "outcome"],
            registry=registry,
        )
        self._looks = Counter(
            "tensorgate_jwks_refreshes", "Looks for the keys of tokens.", ["outcome"], registry=registry
        )
        for outcome in ("ok", "failed"):
            self._looks.labels(outcome)
        self._counters: dict[tuple[str, str], Counter] = {}

    def observe(self, method: str, outcome: str) -> None:
        """Counts what was shown."""
        counter = self._counters.get((method, outcome))
        if counter is None:
            counter = self._counters[method, outcome] = self._shown.labels(method, outcome)
        counter.inc()

    def looked(self, well: bool) -> None:
        """Counts a look for the keys of tokens."""
        self._looks.labels("ok" if well else "failed").inc()


def audit(call: Call, code: str) -> None:
    """Writes the line of a finished call that is to change something, or was refused to who sent it."""
    if call.access is not Access.CONTROL and code not in _REFUSED:
        return
    fields: dict[str, Any] = {
        "request_id": call.request_id,
        "identity": call.identity.name,
        "shown": call.identity.shown,
        "peer": peer_of(call),
        "protocol": call.protocol,
        "method": call.method,
        "action": call.access.value,
        "model": model_of(call),
        **({"change": call.change} if call.change else {}),
        "code": code,
    }
    _AUDIT.info("audit", extra={"fields": fields})
