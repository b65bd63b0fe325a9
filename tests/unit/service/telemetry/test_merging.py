"""Metrics of several processes as those of one."""

import json
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.exchange import Told, collected, encoded
from service.telemetry.merging import Families, families_of, lasting, merged


def told(registry: CollectorRegistry) -> Families:
    """Returns the metrics as another process gets them."""
    return families_of(json.loads(json.dumps(collected(registry))))


def samples(families: Families) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = encoded(Told(families), "")[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def process(
    *, ok: int, failed: int = 0, seconds: tuple[float, ...] = (), gauges: Mapping[str, float] = MappingProxyType({})
) -> Families:
    registry = CollectorRegistry()
    counter = Counter("asked", "Requests.", ["code"], registry=registry)
    counter.labels("ok").inc(ok)
    if failed:
        counter.labels('fa"iled\n').inc(failed)
    histogram = Histogram("took_seconds", "Time.", buckets=(0.1, 1), registry=registry)
    for value in seconds:
        histogram.observe(value)
    for name, value in gauges.items():
        Gauge(name, "A gauge.", registry=registry).set(value)
    return told(registry)


def test_one_process_is_told_as_it_tells_itself() -> None:
    registry = CollectorRegistry()
    Counter("asked", "Requests.", ["code"], registry=registry).labels('"\\\n').inc()
    Histogram("took_seconds", "Time.", ["a"], registry=registry).labels("x").observe(0.3)
    Gauge("held", "A gauge.", registry=registry).set(float("inf"))
    Info("what", "Things.", registry=registry).info({"a": "b"})
    for accept in ("", "application/openmetrics-text; version=1.0.0"):
        assert encoded(Told(merged(told(registry))), accept) == encoded(registry, accept)


def test_counters_and_histograms_add_up_label_by_label() -> None:
    both = samples(merged(process(ok=2, seconds=(0.05,)), process(ok=3, failed=1, seconds=(0.5, 5))))
    assert both["asked_total", (("code", "ok"),)] == 5
    assert both["asked_total", (("code", 'fa"iled\n'),)] == 1
    buckets = {labels[0][1]: value for (name, labels), value in both.items() if name == "took_seconds_bucket"}
    assert buckets == {"0.1": 1, "1.0": 2, "+Inf": 3}
    assert both["took_seconds_count", ()] == 3
    assert both["took_seconds_sum", ()] == 5.55


@pytest.mark.parametrize(
    ("name", "values", "together"),
    [
        ("tensorgate_requests_in_flight", (2, 3), 5),
        ("tensorgate_limit", (512, 512), 1024),
        ("process_resident_memory_bytes", (60, 70), 130),
        ("tensorgate_model_state", (1, 0), 1),
        ("tensorgate_replica_state", (0, 0), 0),
        ("tensorgate_build_info", (1, 1), 1),
        ("process_start_time_seconds", (20, 10), 10),
    ],
)
def test_gauges_come_together_as_each_asks_for(name: str, values: tuple[float, float], together: float) -> None:
    families = merged(*(process(ok=0, gauges={name: value}) for value in values))
    assert samples(families)[name, ()] == together


def test_of_a_process_that_ended_what_it_counted_stays() -> None:
    ended = {"tensorgate_requests_in_flight": 7, "tensorgate_build_info": 1}
    families = merged(process(ok=1), lasting(process(ok=2, seconds=(0.5,), gauges=ended)))
    assert samples(families)["asked_total", (("code", "ok"),)] == 3
    assert samples(families)["took_seconds_count", ()] == 1
    assert not families.keys() & ended.keys()


def test_what_is_merged_stays_as_it_was() -> None:
    first, second = process(ok=1), process(ok=2)
    before = samples(first)
    merged(first, second)
    assert samples(first) == before
