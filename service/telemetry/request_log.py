"""Metrics of the request log: what was written, and what was left out."""

from prometheus_client import CollectorRegistry, Counter


class RequestLogMetrics:
    """Counts what becomes of the requests that were chosen to be recorded.

    Args:
        registry: Of the server's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._written = Counter(
            "tensorgate_request_log_written", "Requests that were recorded in the request log.", registry=registry
        )
        self._dropped = Counter(
            "tensorgate_request_log_dropped",
            "Requests that were chosen for the request log and are missing in it.",
            ["reason"],
            registry=registry,
        )
        for reason in ("queue", "disk", "too_large", "not_supported"):
            self._dropped.labels(reason)

    def written(self) -> None:
        """Counts one that was written."""
        self._written.inc()

    def dropped(self, reason: str) -> None:
        """Counts one that was left out."""
        self._dropped.labels(reason).inc()
