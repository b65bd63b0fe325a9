"""The text that a scrape of the metrics returns."""

import copy
from collections.abc import Callable, Iterable
from typing import cast

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

UNKNOWN = "_unknown"
"""The model in the labels of requests for none that there is."""


def encoded(registry: CollectorRegistry, accept: str, shows: Callable[[str], bool] | None) -> tuple[bytes, str]:
    """Returns the metrics, and the content type that was chosen for this ``Accept`` header.

    Args:
        registry: Of all metrics.
        accept: The header.
        shows: Tells of which models there are to be samples; ``None`` for all.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version in it that is none
        encode, content_type = choose_encoder("")
    shown = registry if shows is None else cast("CollectorRegistry", _Shown(registry, shows))
    return encode(shown), content_type


class _Shown:
    """The metrics of a registry, without samples of models that are not to be shown."""

    def __init__(self, registry: CollectorRegistry, shows: Callable[[str], bool]) -> None:
        self._registry = registry
        self._shows = shows

    def collect(self) -> Iterable[Metric]:
        """Yields all metrics, also those of which no sample is left."""
        for metric in self._registry.collect():
            shown = copy.copy(metric)
            shown.samples = [sample for sample in metric.samples if self._is_shown(sample.labels.get("model_name"))]
            yield shown

    def _is_shown(self, model: str | None) -> bool:
        return model is None or model == UNKNOWN or self._shows(model)
