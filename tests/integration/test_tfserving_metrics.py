"""Metrics where TensorFlow Serving has them, and by its names."""

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.clients import Grpc, Rest
from tests.conftest import Served, serving

BLACK = {"pixels": [[0] * 4] * 4}
PATH = "/monitoring/prometheus/metrics"


async def scraped(served: Served) -> list[Sample]:
    response = await served.rest.get(PATH)
    return [sample for family in text_string_to_metric_families(response.text) for sample in family.samples]


async def test_the_path_answers_as_ours_does(served: Served) -> None:
    names = {sample.name for sample in await scraped(served)}
    assert "tensorgate_build_info" in names
    assert not any(name.startswith(":") for name in names)


async def test_requests_are_counted_by_upstreams_names_where_that_is_wanted() -> None:
    async with serving(tfserving_metrics=True) as served:
        await Rest(served).classify("shades", images=[BLACK])
        await Grpc(served).classify("shades", images=[BLACK])
        await Grpc(served).classify("shades", images=[{"pixels": [[0] * 3] * 3}])
        await Rest(served).classify("nothing", images=[BLACK])
        samples = await scraped(served)
    counts = {
        (sample.labels["model_name"], sample.labels["status"]): sample.value
        for sample in samples
        if sample.name == ":tensorflow:serving:request_count"
    }
    assert counts == {("shades", "OK"): 2, ("shades", "INVALID_ARGUMENT"): 1}
    latency = {
        sample.labels["entrypoint"]: sample
        for sample in samples
        if sample.name == ":tensorflow:serving:request_latency_count"
    }
    assert {entry: sample.value for entry, sample in latency.items()} == {"REST": 1, "GRPC": 1}
    assert latency["GRPC"].labels["API"] == "Classify"
    assert latency["REST"].labels["API"] == "classify"
    total = next(s.value for s in samples if s.name == ":tensorflow:serving:request_latency_sum")
    ours = next(
        s.value
        for s in samples
        if s.name == "tensorgate_request_duration_seconds_sum" and s.labels["model_name"] == "shades"
    )
    assert total == ours * 1e6
    buckets = [s for s in samples if s.name == ":tensorflow:serving:request_latency_bucket"]
    assert max(float(s.labels["le"]) for s in buckets if s.labels["le"] != "+Inf") > 1e6
    runs = [s for s in samples if s.name == ":tensorflow:serving:runtime_latency_count"]
    assert [(s.labels, s.value) for s in runs] == [
        ({"model_name": "shades", "API": "Predict", "runtime": "TF1"}, 2),
    ]
