"""Metrics of what clients may ask of models: what was refused."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter


class RateLimitMetrics:
    """Counts refusals.

    Args:
        registry: Of the server's metrics.
        is_served: Returns whether there is a model of a name.
    """

    def __init__(self, registry: CollectorRegistry, is_served: Callable[[str], bool]) -> None:
        self._is_served = is_served
        self._refused = Counter(
            "tensorgate_rate_limited",
            "Requests that were refused, as a limit of their client was used up.",
            ["model_name", "limit"],
            registry=registry,
        )
        self._series: set[tuple[str, str]] = set()

    def refused(self, model: str, limit: str) -> None:
        """Counts one that was refused; forgets the models that have left, whose names clients may have made up."""
        if (model, limit) not in self._series:
            for gone in [series for series in self._series if not self._is_served(series[0])]:
                self._series.remove(gone)
                self._refused.remove(*gone)
            self._series.add((model, limit))
        self._refused.labels(model, limit).inc()
