"""Histograms for use by a single thread."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString


class Series:
    """Counts the values of one set of labels.

    Args:
        bounds: Upper bounds of the buckets, ascending.

    Attributes:
        counts: Values in each bucket, and last those above all bounds.
        total: Sum of all values.
        exemplars: Of the buckets that have one, the last value with a trace.
    """

    __slots__ = ("_bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, trace: Mapping[str, str] | None = None) -> None:
        """Counts a value; of one with a trace, that trace's ids are shown beside it as an exemplar."""
        bucket = bisect_left(self._bounds, value)
        self.counts[bucket] += 1
        self.total += value
        if trace is not None:
            self.exemplars[bucket] = Exemplar(dict(trace), value, time.time())

    def copied(self) -> "Series":
        """Returns it as it stands now."""
        copied = Series(self._bounds)
        copied.counts, copied.total, copied.exemplars = self.counts.copy(), self.total, self.exemplars.copy()
        return copied

    def add(self, other: "Series") -> None:
        """Counts all values of a series with the same bounds."""
        self.counts = [own + more for own, more in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def buckets(self, unit: float) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
        """Returns the upper bound of each bucket, in units of which there are so many in one, and what is below it.

        Exemplars come third, as they were measured: histograms in other units have none.
        """
        names = [*map(floatToGoString, (bound * unit for bound in self._bounds)), "+Inf"]
        below = map(float, accumulate(self.counts))
        exemplars = self.exemplars
        return [
            (name, count, exemplars[bucket]) if bucket in exemplars else (name, count)
            for bucket, (name, count) in enumerate(zip(names, below, strict=True))
        ]


def histogram(
    name: str,
    documentation: str,
    labels: Sequence[str],
    series: Mapping[tuple[str, ...], Series],
    unit: float = 1.0,
) -> Metric:
    """Returns a histogram of these series, in units of which there are so many in one."""
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for values, each in series.items():
        family.add_metric(list(values), each.buckets(unit), each.total * unit)
    return family


class _Histogram(Metric):
    """A histogram whose samples are made when they are read, on whatever thread: of many models they are many.

    Args:
        name: Of the metric.
        documentation: Likewise.
        labels: Their names.
        series: By their labels; nobody else changes them.
    """

    def __init__(
        self, name: str, documentation: str, labels: Sequence[str], series: Mapping[tuple[str, ...], Series]
    ) -> None:
        self._labels, self._series = labels, series
        super().__init__(name, documentation, "histogram")

    @property
    def samples(self) -> list[Sample]:
        """All samples."""
        return histogram(self.name, self.documentation, self._labels, self._series).samples

    @samples.setter
    def samples(self, samples: list[Sample]) -> None:
        """Is given none, as a metric begins."""


class Distribution(Collector):
    """A histogram, exposed as the library's own is, that only the event loop observes and collects.

    The library's takes two locks and a walk over the buckets for each value. A request observes some nine values, which
    took a fifth of the time that this server spends on it.

    Args:
        name: Of the metric.
        documentation: Likewise.
        labels: Their names.
        bounds: Upper bounds of the buckets, ascending.
        registry: Exposes it.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = tuple(labels)
        self._bounds = tuple(float(bound) for bound in bounds)
        self._series: dict[tuple[str, ...], Series] = {}
        registry.register(self)

    def labels(self, *values: str) -> Series:
        """Returns the series of these labels."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Series(self._bounds)
        return series

    def remove(self, *values: str) -> None:
        """Forgets the series of these labels."""
        self._series.pop(values, None)

    def label_sets(self) -> list[dict[str, str]]:
        """Returns the labels of each series."""
        return [dict(zip(self._labels, values, strict=True)) for values in self._series]

    def summed(self, group: Callable[[dict[str, str]], tuple[str, ...] | None]) -> dict[tuple[str, ...], Series]:
        """Returns the sums of all series of each group; series of no group are left out."""
        sums: dict[tuple[str, ...], Series] = {}
        for values, series in self._series.items():
            key = group(dict(zip(self._labels, values, strict=True)))
            if key is not None:
                sums.setdefault(key, Series(self._bounds)).add(series)
        return sums

    def collect(self) -> Iterator[Metric]:
        """Yields the metric as it stands now."""
        series = {values: each.copied() for values, each in self._series.items()}
        yield _Histogram(self._name, self._documentation, self._labels, series)
