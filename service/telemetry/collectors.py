"""Metrics that are read from the current state at each scrape."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.core.catalog import Catalog
from service.core.drift import Drift
from service.core.model_version import ModelVersion, State
from service.core.tensors import Signature


class Queues(Collector):
    """Reads the queues at each scrape."""

    def __init__(self, waiting: Callable[[], Mapping[str, int]]) -> None:
        self._waiting = waiting

    def collect(self) -> Iterator[Metric]:
        """Yields one sample for each model with waiting requests."""
        family = GaugeMetricFamily(
            "tensorgate_batch_queue_requests", "Requests that wait for their run.", labels=["model_name"]
        )
        for name, count in self._waiting().items():
            family.add_metric([name], count)
        yield family


class Batching(Collector):
    """Reads at each scrape which signatures' requests are merged."""

    def __init__(self, catalog: Catalog, reason_against: Callable[[ModelVersion, Signature], str]) -> None:
        self._catalog = catalog
        self._reason_against = reason_against

    def collect(self) -> Iterator[Metric]:
        """Yields one sample for each signature of each version that is available."""
        family = GaugeMetricFamily(
            "tensorgate_signature_batched",
            "1 where requests of a signature are merged and large ones split, else 0; the metadata says why.",
            labels=["model_name", "model_version", "signature_name"],
        )
        for name in self._catalog.names():
            for version in self._catalog.versions(name):
                for signature in version.signatures.values() if version.state is State.AVAILABLE else ():
                    labels = [name, str(version.version), signature.name]
                    family.add_metric(labels, float(not self._reason_against(version, signature)))
        yield family


class ModelStates(Collector):
    """Reads the states from the catalog at each scrape, so that versions which are gone are gone here too."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def collect(self) -> Iterator[Metric]:
        """Yields one sample for each version and state, and how many models were not found."""
        family = GaugeMetricFamily(
            "tensorgate_model_state",
            "1 for the state that a version of a model is in, 0 for the others.",
            labels=["model_name", "model_version", "state"],
        )
        for name in self._catalog.names():
            for version in self._catalog.versions(name):
                for state in State:
                    family.add_metric([name, str(version.version), state.value], float(state is version.told_state))
        yield family
        yield GaugeMetricFamily(
            "tensorgate_models_unserved",
            "Models of which no version is found, or whose folder cannot be read; /readyz says why.",
            value=len(self._catalog.unserved),
        )


class DriftOfModels(Collector):
    """Compares at each scrape what was asked and answered with the references of the versions that are available."""

    def __init__(self, catalog: Catalog, report: Callable[[ModelVersion], Sequence[Drift]]) -> None:
        self._catalog = catalog
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """Yields for each statistic the rows that were looked at, and where there are any, how far off they are."""
        labels = ["model_name", "model_version", "signature_name", "side", "tensor", "statistic"]
        rows = GaugeMetricFamily(
            "tensorgate_drift_rows",
            "Rows that were looked at for drift; each counts less the longer ago that was.",
            labels=labels,
        )
        psi = GaugeMetricFamily(
            "tensorgate_drift_psi",
            "Population stability index of what was looked at, against the model's reference: 0 for no difference.",
            labels=labels,
        )
        p_value = GaugeMetricFamily(
            "tensorgate_drift_p_value",
            "How likely such a difference is by chance: Kolmogorov-Smirnov, or chi-square for classes.",
            labels=labels,
        )
        for name in self._catalog.names():
            for version in self._catalog.versions(name):
                for drift in self._report(version) if version.state is State.AVAILABLE else ():
                    values = [name, str(version.version), drift.signature, drift.side, drift.tensor, drift.statistic]
                    rows.add_metric(values, drift.rows)
                    if drift.distance is not None:
                        psi.add_metric(values, drift.distance.psi)
                        p_value.add_metric(values, drift.distance.p_value)
        yield from (rows, psi, p_value)
