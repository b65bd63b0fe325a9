"""What is counted here by TensorFlow Serving's names too, for the dashboards that read those.

Names, labels and units are those of its ``servables/tensorflow/util.cc``. Requests of all protocols count, as what they
asked of a model is the same; the buckets of histograms are ours.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.errors import OK
from service.telemetry.distribution import Distribution, histogram

_PREFIX = ":tensorflow:serving:"
_MICROSECONDS = 1e6
_ENTRY_POINTS = {"rest": "REST", "grpc": "GRPC"}
_RUNTIME = "TF1"
"""What upstream calls the way in which it runs models; the other one is never seen."""


class TfServingNames(Collector):
    """Reports requests and their times from what is counted already, at each scrape.

    Args:
        requests: Counts requests.
        durations: Measures them, in seconds.
        phases: Measures their phases, in seconds.
        statuses: The gRPC status of each code that a request can have.
        unknown: What the model of a request is called that named none.
    """

    def __init__(
        self,
        *,
        requests: Counter,
        durations: Distribution,
        phases: Distribution,
        statuses: Mapping[str, str],
        unknown: str,
    ) -> None:
        self._requests = requests
        self._durations = durations
        self._phases = phases
        self._statuses = statuses
        self._unknown = unknown

    def collect(self) -> Iterator[Metric]:
        """Yields the three metrics that dashboards are made of."""
        yield self._counts()
        labels = ["model_name", "API", "entrypoint"]
        latency = self._durations.summed(self._latency)
        text = "Microseconds of requests that succeeded."
        yield histogram(f"{_PREFIX}request_latency", text, labels, latency, _MICROSECONDS)
        labels = ["model_name", "API", "runtime"]
        runtime = self._phases.summed(self._runtime)
        yield histogram(f"{_PREFIX}runtime_latency", "Microseconds of their runs.", labels, runtime, _MICROSECONDS)

    def _counts(self) -> Metric:
        # Not as a counter: in the text form its name would end in "_total", which upstream's does not.
        family = Metric(f"{_PREFIX}request_count", "Requests by what became of them.", "unknown")
        counts: dict[tuple[str, str], float] = {}
        for metric in self._requests.collect():
            for sample in metric.samples:
                key = sample.labels["model_name"], self._statuses[sample.labels["code"]]
                counts[key] = counts.get(key, 0.0) + sample.value
        for (model, status), count in counts.items():
            if model != self._unknown:
                family.add_sample(family.name, {"model_name": model, "status": status}, count)
        return family

    def _latency(self, labels: Mapping[str, str]) -> tuple[str, ...] | None:
        model = labels["model_name"]
        if labels["code"] != OK or model == self._unknown:
            return None
        return model, _api(labels["method"]), _ENTRY_POINTS[labels["protocol"]]

    def _runtime(self, labels: Mapping[str, str]) -> tuple[str, ...] | None:
        model = labels["model_name"]
        return None if labels["phase"] != "execute" or model == self._unknown else (model, "Predict", _RUNTIME)


def _api(method: str) -> str:
    """Returns the verb of a method: ``Predict`` of ``.../Predict``, ``predict`` of ``.../{model}:predict``."""
    return method.rpartition("/")[2].rpartition(":")[2]
