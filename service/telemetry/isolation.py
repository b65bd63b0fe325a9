"""Metrics of the process that runs the models, where it is not the server's."""

from prometheus_client import CollectorRegistry, Counter


class IsolationMetrics:
    """Counts how often that process was started again.

    Args:
        registry: Of the server's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._restarts = Counter(
            "tensorgate_backend_restarts",
            "Times that the process which runs the models ended and was started again.",
            ["reason"],
            registry=registry,
        )
        for reason in ("ended", "silent"):
            self._restarts.labels(reason)

    def restarted(self, reason: str) -> None:
        """Counts a restart: the process ended, or was ended as it gave no sign of life."""
        self._restarts.labels(reason).inc()
