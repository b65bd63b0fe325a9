"""Metrics of drift: there while their version is, and gone with it."""

import numpy as np

from service.core.admission import Admission
from service.core.catalog import Catalog
from service.core.drift import DriftMonitor
from service.core.request import InferenceRequest
from service.telemetry.metrics import Metrics
from tests.drift import version_of

MEANS = {"histograms": [{"statistic": "mean", "edges": [1.0, 2.0], "counts": [50, 50, 50]}]}
LABELS = 'model_name="m",model_version="1",side="input",signature_name="serving_default",statistic="mean",tensor="x"'


async def test_series_come_with_the_rows_and_go_with_the_version() -> None:
    made, catalog, monitor = (
        Metrics(admission=Admission(requests=1, streams=1, request_bytes=1), backend="none"),
        Catalog(),
        DriftMonitor(share=1),
    )
    made.watch(catalog)
    made.watch_drift(monitor.report)
    version = version_of((2,), MEANS)
    catalog.put(version)

    def exposed() -> list[str]:
        lines = made.collect("")()[0].decode().splitlines()
        return [_sorted(line) for line in lines if line.startswith("tensorgate_drift_")]

    assert exposed() == [f"tensorgate_drift_rows{{{LABELS}}} 0.0"]
    rows = np.full((300, 2), 9, np.float32)
    for _ in range(10):
        request = InferenceRequest(version, version.signatures["serving_default"], {"x": rows}, len(rows))
        monitor.observe(request, {})
    assert [line.partition("{")[0] for line in exposed()] == [
        "tensorgate_drift_rows",
        "tensorgate_drift_psi",
        "tensorgate_drift_p_value",
    ]
    assert all(f"{{{LABELS}}}" in line for line in exposed())
    catalog.drop("m", 1)
    assert exposed() == []


def _sorted(line: str) -> str:
    """Returns a sample with its labels in order."""
    name, _, rest = line.partition("{")
    labels, _, value = rest.partition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}"
