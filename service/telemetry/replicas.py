"""Metrics of a backend's replicas: their states, requests, ejections and retries."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.replicas import ReplicaState, ReplicaStatus
from service.telemetry.distribution import Distribution

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class ReplicaMetrics:
    """Observes replicas.

    Args:
        registry: Of the server's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "tensorgate_replica_requests",
            "Requests that were sent to a replica of the backend.",
            ["replica", "code"],
            registry=registry,
        )
        self._durations = Distribution(
            "tensorgate_replica_request_duration_seconds",
            "Time that a replica took for a request, failures included.",
            ["replica"],
            bounds=_SECONDS,
            registry=registry,
        )
        self._ejections = Counter(
            "tensorgate_replica_ejections",
            "Times that a replica was left out.",
            ["replica", "reason"],
            registry=registry,
        )
        self._retries = Counter(
            "tensorgate_backend_retries", "Requests that were sent to another replica.", ["reason"], registry=registry
        )
        self._refused = Counter(
            "tensorgate_backend_retries_refused",
            "Failed requests that were not tried again: there had been too many.",
            registry=registry,
        )

    def watch(self, replicas: Callable[[], Sequence[ReplicaStatus]]) -> None:
        """Reports the status of the replicas at each scrape."""
        self._registry.register(_Replicas(replicas))

    def attempted(self, replica: str, code: str, seconds: float) -> None:
        """Counts a request to a replica."""
        self._requests.labels(replica, code).inc()
        self._durations.labels(replica).observe(seconds)

    def ejected(self, replica: str, reason: str) -> None:
        """Counts that a replica was left out."""
        self._ejections.labels(replica, reason).inc()

    def left(self, replica: str) -> None:
        """Forgets a replica: where they come and go, their addresses are not a closed set."""
        self._durations.remove(replica)
        for counter in (self._requests, self._ejections):
            counter.remove_by_labels({"replica": replica})

    def retried(self, reason: str) -> None:
        """Counts a retry."""
        self._retries.labels(reason).inc()

    def retry_refused(self) -> None:
        """Counts a retry that was not made."""
        self._refused.inc()


class _Replicas(Collector):
    """Reads the replicas at each scrape."""

    def __init__(self, replicas: Callable[[], Sequence[ReplicaStatus]]) -> None:
        self._replicas = replicas

    def collect(self) -> Iterator[Metric]:
        """Yields for each replica a sample for each state, and what it works on."""
        states = GaugeMetricFamily(
            "tensorgate_replica_state",
            "1 for the state that a replica of the backend is in, 0 for the others.",
            labels=["replica", "state"],
        )
        in_flight = GaugeMetricFamily(
            "tensorgate_replica_requests_in_flight",
            "Requests that a replica of the backend works on.",
            labels=["replica"],
        )
        for replica in self._replicas():
            in_flight.add_metric([replica.name], replica.in_flight)
            for state in ReplicaState:
                states.add_metric([replica.name, state.value], float(state is replica.state))
        yield states
        yield in_flight
