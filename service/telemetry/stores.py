"""Metrics of the store that models come from."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge


class StoreMetrics:
    """Counts what a store is asked for.

    Args:
        registry: Of the server's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._bytes = Counter(
            "tensorgate_store_pulled_bytes", "Bytes that were pulled from the store.", registry=registry
        )
        self._pulls = Counter(
            "tensorgate_store_pulls", "Versions that were pulled from the store.", ["outcome"], registry=registry
        )
        for outcome in ("ok", "failed"):
            self._pulls.labels(outcome)
        self._reachable = Gauge(
            "tensorgate_store_reachable", "1 while the store answers what it is asked, else 0.", registry=registry
        )
        self._listed = Gauge(
            "tensorgate_store_listed_timestamp_seconds", "When the store was last looked at.", registry=registry
        )
        self._kept = Gauge(
            "tensorgate_store_cache_bytes", "Bytes of all versions that are kept here.", registry=registry
        )

    def pulled(self, count: int) -> None:
        """Counts bytes that have come."""
        self._bytes.inc(count)

    def ended(self, *, ok: bool) -> None:
        """Counts a version that was pulled, or could not be."""
        self._pulls.labels("ok" if ok else "failed").inc()

    def listed(self, *, ok: bool) -> None:
        """Notes whether the store answered."""
        self._reachable.set(ok)
        if ok:
            self._listed.set(time.time())

    def kept(self, count: int) -> None:
        """Notes the bytes of all versions that are kept here."""
        self._kept.set(count)
