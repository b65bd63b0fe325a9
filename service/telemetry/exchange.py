"""Between the metrics of Prometheus's library and those that processes exchange."""

from collections.abc import Iterator
from typing import Any, cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.telemetry.merging import Families, Family


def collected(registry: CollectorRegistry) -> list[Any]:
    """Returns all metrics of the registry, as JSON can hold them."""
    return [
        [
            metric.name,
            metric.documentation,
            metric.type,
            [[sample.name, list(sample.labels.items()), sample.value] for sample in metric.samples],
        ]
        for metric in registry.collect()
    ]


def encoded(source: Collector | CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Returns the metrics as they travel, and the content type that was chosen for this ``Accept`` header."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version in it that is none
        encode, content_type = choose_encoder("")
    return encode(cast("CollectorRegistry", source)), content_type


class Told(Collector):
    """Tells metrics that came from elsewhere.

    Args:
        families: The metrics.
    """

    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Yields each of them."""
        yield from map(_metric, self._families.values())


def _metric(family: Family) -> Metric:
    metric = Metric(family.name, family.description, family.kind)
    for (name, labels), value in family.samples.items():
        metric.add_sample(name, dict(labels), value)
    return metric
