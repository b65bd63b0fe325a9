"""Prometheus metrics: the only module that knows their names.

Labels come from closed sets: a model's name is a label only once the catalog has found it, a method only once it is
known to be one of ours. The series of a version that left the catalog are reported once more, and then removed,
since clients may bring in models of any name. Failures count in the durations, with their code.
"""

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from service import __version__
from service.core.admission import Admission
from service.core.batching import Batcher
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.drift import Drift
from service.core.model_version import ModelVersion
from service.core.spans import Trace
from service.errors import OK, ErrorKind
from service.telemetry.collectors import Batching, DriftOfModels, ModelStates, Queues
from service.telemetry.distribution import Distribution, Series
from service.telemetry.exposition import UNKNOWN, encoded
from service.telemetry.replicas import ReplicaMetrics
from service.telemetry.tfserving_names import TfServingNames

_MOST_LEFT = 1000
"""Versions that may leave before their series are removed, whether they were scraped or not."""
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LOAD_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
_REJECTIONS = {
    ErrorKind.OVERLOADED: "overloaded",
    ErrorKind.RATE_LIMITED: "rate_limited",
    ErrorKind.TOO_LARGE: "payload",
    ErrorKind.TIMEOUT: "deadline",
    ErrorKind.NOT_READY: "not_ready",
}
_SHORT_DEADLINE = "short_deadline"
OBJECTIVE_SECONDS = 0.25
"""That requests may take, in the rules of deploy/prometheus: to allow less is the client's own doing."""
_VALIDATION = frozenset(
    {
        ErrorKind.MALFORMED,
        ErrorKind.INVALID_INPUT,
        ErrorKind.UNSUPPORTED_FORMAT,
        ErrorKind.WRONG_MODEL_KIND,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.LABEL_NOT_FOUND,
        ErrorKind.SIGNATURE_NOT_FOUND,
    }
)


class Metrics:
    """All metrics of one server, in a registry of its own.

    Args:
        admission: Knows how much is in flight; read at each scrape.
        backend: Name of the backend, for the build information.

    Attributes:
        replicas: Those of the backend's replicas.
    """

    def __init__(self, *, admission: Admission, backend: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody reads
        self.registry = CollectorRegistry()
        model = ["model_name", "model_version"]
        self._requests = Counter(
            "tensorgate_requests",
            "Requests that were answered; each message of a stream counts too, as a method of its own.",
            ["protocol", "method", *model, "code"],
            registry=self.registry,
        )
        self._durations = Distribution(
            "tensorgate_request_duration_seconds",
            "Time from the arrival of a request to its answer, failures included.",
            ["protocol", "method", *model, "code"],
            bounds=_SECONDS,
            registry=self.registry,
        )
        self._phases = Distribution(
            "tensorgate_phase_duration_seconds",
            "Where the time of a request went.",
            ["phase", *model],
            bounds=_SECONDS,
            registry=self.registry,
        )
        self._rows = Distribution(
            "tensorgate_request_rows",
            "Rows that a request asked to run.",
            model,
            bounds=_ROWS,
            registry=self.registry,
        )
        self._batch_rows = Distribution(
            "tensorgate_batch_rows",
            "Rows of one run, of all the requests that were merged for it.",
            model,
            bounds=_ROWS,
            registry=self.registry,
        )
        self._batch_requests = Distribution(
            "tensorgate_batch_requests",
            "Requests that were merged for one run.",
            model,
            bounds=_ROWS,
            registry=self.registry,
        )
        self._rejected = Counter(
            "tensorgate_rejected",
            "Requests that were well-formed and not served.",
            ["protocol", "reason"],
            registry=self.registry,
        )
        self._invalid = Counter(
            "tensorgate_validation_errors",
            "Requests that were refused for what was in them.",
            ["protocol", "code"],
            registry=self.registry,
        )
        self._loads = Distribution(
            "tensorgate_model_load_duration_seconds",
            "Time to load a version and warm it up.",
            ["model_name"],
            bounds=_LOAD_SECONDS,
            registry=self.registry,
        )
        self._of_models = (
            self._durations,
            self._phases,
            self._rows,
            self._batch_rows,
            self._batch_requests,
            self._loads,
        )
        self._catalog = Catalog()
        self._series: dict[tuple[str, str, str | None, int | None, str], _RequestSeries] = {}
        self._reported: set[tuple[str, str]] = set()
        self._left = 0
        for what in ("requests", "streams"):
            gauge = Gauge(f"tensorgate_{what}_in_flight", f"{what.capitalize()} that are open.", registry=self.registry)
            gauge.set_function(partial(admission.in_flight.__getitem__, what))
        held = Gauge("tensorgate_request_bytes_held", "Bytes of requests that are held.", registry=self.registry)
        held.set_function(admission.bytes_held)
        Gauge(
            "tensorgate_build_info",
            "1; what runs here is in the labels.",
            ["version", "backend", "python_version"],
            registry=self.registry,
        ).labels(__version__, backend, platform.python_version()).set(1)
        self.replicas = ReplicaMetrics(self.registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def report_limits(self, limits: Mapping[str, int]) -> None:
        """Reports what there may be at most, by the name of the setting, beside what there is."""
        gauge = Gauge("tensorgate_limit", "Most that the setting allows.", ["setting"], registry=self.registry)
        for setting, limit in limits.items():
            gauge.labels(setting).set(limit)

    def report_config_file(self, in_effect: Callable[[], bool]) -> None:
        """Reports whether what the model configuration file says is done."""
        text = "1 while the model configuration file is readable and in effect, else 0; the log says why."
        gauge = Gauge("tensorgate_model_config_in_effect", text, registry=self.registry)
        gauge.set_function(in_effect)

    def watch(self, catalog: Catalog) -> None:
        """Reports the states of all models, and how long they took to load."""
        self._catalog = catalog
        self.registry.register(ModelStates(catalog))
        catalog.subscribe(self._state_changed)

    def use_names_of_tensorflow_serving(self, statuses: Mapping[str, str]) -> None:
        """Reports requests by TensorFlow Serving's names too.

        Args:
            statuses: The gRPC status of each code that a request can have.
        """
        names = TfServingNames(
            requests=self._requests,
            durations=self._durations,
            phases=self._phases,
            statuses=statuses,
            unknown=UNKNOWN,
        )
        self.registry.register(names)

    def observe(self, call: Call, code: str) -> None:
        """Counts a finished request."""
        labels = (call.protocol, call.method, call.model, call.version, code)
        series = self._series.get(labels)
        if series is None:  # to find them one by one takes longer than to count
            series = self._series[labels] = self._series_of(call, code)
        series.requests.inc()
        trace = None if call.trace is None else _exemplar(call.trace)
        series.durations.observe(call.elapsed(), trace)
        phases = series.phases
        for phase, seconds in call.phases.items():
            found = phases.get(phase)
            if found is None:
                found = phases[phase] = self._phases.labels(phase, series.model, series.version)
            found.observe(seconds, trace)
        if call.rows:
            if series.rows is None:
                series.rows = self._rows.labels(series.model, series.version)
            series.rows.observe(call.rows)
        if code != OK:
            self._observe_failure(call, code)

    def _series_of(self, call: Call, code: str) -> "_RequestSeries":
        model, version = call.model or UNKNOWN, UNKNOWN if call.version is None else str(call.version)
        self._reported.add((model, version))
        labels = (call.protocol, call.method, model, version, code)
        return _RequestSeries(model, version, self._requests.labels(*labels), self._durations.labels(*labels))

    def _observe_failure(self, call: Call, code: str) -> None:
        if code in _REJECTIONS:
            is_short = code == ErrorKind.TIMEOUT and call.deadline.allowed < OBJECTIVE_SECONDS
            reason = _SHORT_DEADLINE if is_short else _REJECTIONS[ErrorKind(code)]
            self._rejected.labels(call.protocol, reason).inc()
        if code in _VALIDATION:
            self._invalid.labels(call.protocol, code).inc()

    def observe_batch(self, version: ModelVersion, rows: int, requests: int) -> None:
        """Counts a run and what was merged for it."""
        labels = (version.name, str(version.version))
        self._reported.add(labels)
        self._batch_rows.labels(*labels).observe(rows)
        self._batch_requests.labels(*labels).observe(requests)

    def watch_batching(self, batcher: Batcher) -> None:
        """Reports how many requests wait for each model, and which signatures' requests are merged."""
        self.registry.register(Queues(batcher.waiting))
        self.registry.register(Batching(self._catalog, batcher.reason_against))

    def watch_drift(self, report: Callable[[ModelVersion], Sequence[Drift]]) -> None:
        """Reports how far what models are asked and answer is from their references."""
        self.registry.register(DriftOfModels(self._catalog, report))

    def collect(self, accept: str, shows: Callable[[str], bool] | None = None) -> Callable[[], tuple[bytes, str]]:
        """Returns what makes, on any thread, the text of all metrics as they stand now; see `encoded`."""
        collected = list(self.registry.collect())
        self._forget()
        return partial(encoded, collected, accept, shows)

    def _state_changed(self, version: ModelVersion) -> None:
        if not self._catalog.has(version.name, version.version):
            self._left += 1
            if self._left >= _MOST_LEFT:  # nobody scrapes
                self._forget()
        elif version.load_seconds:
            self._reported.add((version.name, UNKNOWN))
            self._loads.labels(version.name).observe(version.load_seconds)

    def _forget(self) -> None:
        """Removes the series of all versions that are not in the catalog."""
        self._left = 0
        gone = {series for series in self._reported if not self._is_there(*series)}
        self._reported -= gone
        for metric in self._of_models if gone else ():
            for labels in metric.label_sets():
                if (labels["model_name"], labels.get("model_version", UNKNOWN)) in gone:
                    metric.remove(*labels.values())
                    if metric is self._durations:  # the requests have the same labels
                        self._requests.remove(*labels.values())
        if gone:
            self._series.clear()

    def _is_there(self, name: str, version: str) -> bool:
        if version == UNKNOWN:
            return name == UNKNOWN or name in self._catalog
        return self._catalog.has(name, int(version))


def _exemplar(trace: Trace) -> Mapping[str, str] | None:
    return {"trace_id": trace.trace_id, "span_id": trace.span_id} if trace.sampled else None


@dataclass(slots=True)
class _RequestSeries:
    """The series of all requests with the same labels; optional ones are made when first needed."""

    model: str
    version: str
    requests: Counter
    durations: Series
    phases: dict[str, Series] = field(default_factory=dict)
    rows: Series | None = None
