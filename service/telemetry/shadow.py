"""Metrics of copies of requests that another version answers for nobody; read at each scrape."""

from collections.abc import Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.catalog import Catalog
from service.core.shadow import Shadows

_LABELS = ["model_name", "model_version"]


class ShadowMetrics(Collector):
    """Reads what became of the copies.

    Args:
        catalog: Of the models.
        shadows: Have run the copies.
    """

    def __init__(self, catalog: Catalog, shadows: Shadows) -> None:
        self._catalog = catalog
        self._shadows = shadows

    def collect(self) -> Iterator[Metric]:
        """Yields samples for each model that has a shadow."""
        requests = CounterMetricFamily(
            "tensorgate_shadow_requests",
            "Copies of requests for a shadow, by what became of them.",
            labels=[*_LABELS, "outcome"],
        )
        rows = CounterMetricFamily(
            "tensorgate_shadow_rows",
            "Rows whose classes were compared, by whether they agree.",
            labels=[*_LABELS, "class"],
        )
        seconds = CounterMetricFamily(
            "tensorgate_shadow_run_seconds",
            "Time that runs took whose answers were compared: of the version that answered, and of the shadow.",
            labels=[*_LABELS, "by"],
        )
        difference = GaugeMetricFamily(
            "tensorgate_shadow_largest_difference",
            "Largest between two numbers of answers that were compared, as a part of the larger one.",
            labels=_LABELS,
        )
        for name in self._catalog.names():
            if (known := self._shadows.tally(name)) is None:
                continue
            shadow, tally = known
            values = [name, str(shadow.version)]
            for outcome, count in tally.outcomes.items():
                requests.add_metric([*values, outcome.value], count)
            rows.add_metric([*values, "changed"], tally.changed)
            rows.add_metric([*values, "same"], tally.rows - tally.changed)
            seconds.add_metric([*values, "answer"], tally.seconds)
            seconds.add_metric([*values, "shadow"], tally.shadow_seconds)
            difference.add_metric(values, tally.difference)
        yield from (requests, rows, seconds, difference)
