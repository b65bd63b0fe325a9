"""The text that a scrape of the metrics returns."""

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder

UNKNOWN = "_unknown"
"""The model in the labels of requests for none that there is."""


def encoded(metrics: Sequence[Metric], accept: str, shows: Callable[[str], bool] | None) -> tuple[bytes, str]:
    """Returns the text of metrics, and the content type that was chosen for this ``Accept`` header.

    Args:
        metrics: All of them, as they were collected.
        accept: The header.
        shows: Tells of which models there are to be samples; ``None`` for all.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version in it that is none
        encode, content_type = choose_encoder("")
    return encode(cast("CollectorRegistry", _Shown(metrics, shows))), content_type


class _Shown:
    """Metrics as a registry gives them, without samples of models that are not to be shown."""

    def __init__(self, metrics: Sequence[Metric], shows: Callable[[str], bool] | None) -> None:
        self._metrics = metrics
        self._shows = shows

    def collect(self) -> Iterable[Metric]:
        """Yields all metrics, also those of which no sample is left."""
        for metric in self._metrics:
            if self._shows is None:
                yield metric
                continue
            shown = Metric(metric.name, metric.documentation, metric.type, metric.unit)
            shown.samples = [
                sample for sample in metric.samples if _is_shown(sample.labels.get("model_name"), self._shows)
            ]
            yield shown


def _is_shown(model: str | None, shows: Callable[[str], bool]) -> bool:
    return model is None or model == UNKNOWN or shows(model)
