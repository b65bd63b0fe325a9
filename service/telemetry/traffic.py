"""Metrics of how requests are split among versions, and of rollouts; read at each scrape."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.catalog import Catalog
from service.core.rollout import Reason
from service.core.rollout_watch import Phase
from service.core.rollouts import Rollouts
from service.core.traffic_split import Split


class TrafficMetrics(Collector):
    """Reads splits from the catalog and progress from the rollouts.

    Args:
        catalog: Of the models.
        rollouts: Those that are declared.
    """

    def __init__(self, catalog: Catalog, rollouts: Rollouts) -> None:
        self._catalog = catalog
        self._rollouts = rollouts

    def collect(self) -> Iterator[Metric]:
        """Yields a sample for each version of each split, and for each rollout what it has come to."""
        yield self._shares()
        phases = GaugeMetricFamily(
            "tensorgate_rollout_phase",
            "1 for how a rollout stands, 0 for the others.",
            labels=["model_name", "label", "phase"],
        )
        steps = GaugeMetricFamily(
            "tensorgate_rollout_step", "Step that a rollout has reached, from 1 on.", labels=["model_name", "label"]
        )
        unwritten = GaugeMetricFamily(
            "tensorgate_rollout_unwritten",
            "1 where this server knows more of a rollout than the model configuration says, such as that it is taken "
            "back, and other servers may not know it.",
            labels=["model_name", "label"],
        )
        for watch in self._rollouts.watches():
            values = [watch.model, watch.rollout.label]
            for phase in Phase:
                phases.add_metric([*values, phase.value], float(phase is watch.phase))
            steps.add_metric(values, watch.step + 1)
            unwritten.add_metric(values, float(watch.declared != watch.rollout))
        yield from (phases, steps, unwritten, self._rolled_back())

    def _shares(self) -> Metric:
        family = GaugeMetricFamily(
            "tensorgate_traffic_share",
            "Part of the requests for a label that a version gets, 0 to 1; of those that name nothing, for the empty "
            "label.",
            labels=["model_name", "model_version", "label"],
        )
        for name in self._catalog.names():
            for label, target in self._catalog.targets(name).items():
                split = target if isinstance(target, Split) else Split({})
                for version in split.weights:
                    family.add_metric([name, str(version), label], split.share(version))
        return family

    def _rolled_back(self) -> Metric:
        family = CounterMetricFamily(
            "tensorgate_rollout_rolled_back",
            "Rollouts that this server has taken back, by the guard that was hit.",
            labels=["model_name", "reason"],
        )
        for watch in self._rollouts.watches():
            for reason in Reason:
                if reason is not Reason.ABORTED:
                    family.add_metric([watch.model, reason.value], self._rollouts.rolled_back(watch.model, reason))
        return family
