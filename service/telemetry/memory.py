"""Metrics of the memory that loaded versions take, where it is bounded."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class MemoryMetrics:
    """Counts what leaves memory.

    Args:
        registry: Of the server's metrics.
        is_there: Tells of the name of a model whether there is one of it.
    """

    def __init__(self, registry: CollectorRegistry, is_there: Callable[[str], bool]) -> None:
        self._is_there = is_there
        self._taken = Gauge(
            "tensorgate_loaded_bytes", "Bytes that the loaded versions take, as estimated.", registry=registry
        )
        self._evictions = Counter(
            "tensorgate_model_evictions",
            "Times that a version left memory to make room for another.",
            ["model_name"],
            registry=registry,
        )
        self._series: set[str] = set()

    def taken(self, size: int) -> None:
        """Takes how many bytes the loaded versions take now."""
        self._taken.set(size)

    def evicted(self, model: str) -> None:
        """Counts a version of a model that leaves memory."""
        if model not in self._series:
            for gone in [name for name in self._series if not self._is_there(name)]:  # clients may make names up
                self._series.remove(gone)
                self._evictions.remove(gone)
            self._series.add(model)
        self._evictions.labels(model).inc()
