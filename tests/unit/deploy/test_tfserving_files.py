"""TensorFlow Serving's own files hold what it accepts: it would not start with others."""

import re

import pytest

from service.app.settings import Settings
from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "tfserving"
BATCHING = ["batching-cpu.config", "batching-gpu.config"]
FIELDS = {
    "max_batch_size",
    "batch_timeout_micros",
    "num_batch_threads",
    "max_enqueued_batches",
    "enable_large_batch_splitting",
    "max_execution_batch_size",
}


def parsed(file: str) -> tuple[dict[str, str], list[int]]:
    """Returns the fields of a file of batching parameters, and the sizes of batches that it allows."""
    text = re.sub("#.*", "", (FOLDER / file).read_text("utf-8"))
    fields = dict(re.findall(r"^(\w+) \{ value: (\w+) \}$", text, re.MULTILINE))
    sizes = [int(size) for size in re.findall(r"^allowed_batch_sizes: (\d+)$", text, re.MULTILINE)]
    assert len([line for line in text.splitlines() if line.strip()]) == len(fields) + len(sizes)
    return fields, sizes


@pytest.mark.parametrize("file", BATCHING)
def test_batching_parameters(file: str) -> None:
    fields, sizes = parsed(file)
    assert set(fields) == FIELDS
    assert fields["enable_large_batch_splitting"] == "true"
    largest = int(fields["max_execution_batch_size"])
    assert int(fields["max_batch_size"]) >= largest
    if sizes:
        assert sizes == sorted(set(sizes))
        assert sizes[-1] == largest


@pytest.mark.parametrize("file", BATCHING)
def test_a_run_of_the_gateway_is_not_split_and_no_request_is_refused(file: str) -> None:
    fields, _ = parsed(file)
    assert int(fields["max_execution_batch_size"]) >= Settings.model_fields["max_batch_size"].default
    assert int(fields["max_batch_size"]) >= Settings.model_fields["max_request_rows"].default


def test_its_metrics_are_where_prometheus_looks() -> None:
    path = re.findall(r'path: "(.*)"', (FOLDER / "monitoring.config").read_text("utf-8"))
    scraped = re.findall(r"metrics_path: (\S+)", (ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    assert path == scraped == ["/monitoring/prometheus/metrics"]
