"""TensorFlow Serving's own file holds what it accepts: it would not start with another."""

import re

from tests.processes import ROOT


def test_its_metrics_are_where_prometheus_looks() -> None:
    path = re.findall(r'path: "(.*)"', (ROOT / "deploy/tfserving/monitoring.config").read_text("utf-8"))
    scraped = re.findall(r"metrics_path: (\S+)", (ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    assert path == scraped == ["/monitoring/prometheus/metrics"]
