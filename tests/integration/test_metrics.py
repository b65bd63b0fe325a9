"""What ``/metrics`` exposes after requests of all sorts."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.clients import Grpc, Rest
from tests.conftest import Served

BLACK = [{"pixels": [[0] * 4] * 4}]
REST_METHOD = "POST /api/v1/models/{model}/classify"
GRPC_METHOD = "tensorgate.v1.TensorgateService/Classify"


async def test_requests_are_counted_by_what_became_of_them(served: Served) -> None:
    for client in (Rest(served), Grpc(served)):
        await client.classify("shades", images=BLACK)
        await client.classify("shades", images=[])
        await client.classify("nope", images=BLACK)
    for protocol, method in (("rest", REST_METHOD), ("grpc", GRPC_METHOD)):
        labels = {"protocol": protocol, "method": method}
        counted = "tensorgate_requests_total"
        ok = await served.metric(counted, **labels, model_name="shades", model_version="2", code="ok")
        invalid = await served.metric(counted, **labels, model_name="shades", code="invalid_input")
        unknown = await served.metric(counted, **labels, model_name="_unknown", code="model_not_found")
        assert (ok, invalid, unknown) == (1, 1, 1)
        assert await served.metric("tensorgate_request_duration_seconds_count", **labels) == 3
        assert await served.metric("tensorgate_validation_errors_total", protocol=protocol, code="invalid_input") == 1


@pytest.mark.parametrize("phase", ["decode", "validate", "execute", "encode"])
async def test_phases_are_measured(served: Served, phase: str) -> None:
    await Rest(served).classify("shades", images=BLACK)
    await Grpc(served).classify("shades", images=BLACK)
    assert await served.metric("tensorgate_phase_duration_seconds_count", phase=phase, model_name="shades") == 2


async def test_what_clients_make_up_is_no_label(served: Served) -> None:
    for number in range(5):
        await served.rest.get(f"/made/up/{number}")
        await served.rest.get(f"/api/v1/models/made-up-{number}")
        await served.rest.request("PATCH", "/api/v1/models")
    text = (await served.rest.get("/metrics")).text
    assert "made" not in text
    assert "PATCH" not in text
    assert await served.metric("tensorgate_requests_total", method="_other", code="not_found") == 5


async def test_states_of_models_are_reported(served: Served) -> None:
    state = "tensorgate_model_state"
    assert await served.metric(state, model_name="shades", model_version="2", state="AVAILABLE") == 1
    assert await served.metric(state, model_name="shades", model_version="3", state="AVAILABLE") == 0
    assert await served.metric(state, model_name="shades", model_version="3", state="END") == 1


async def test_limits_are_reported_beside_what_they_limit(served: Served) -> None:
    for setting, limit in (("max_requests_in_flight", 512), ("max_bytes_in_flight", 2**29), ("max_queue_size", 256)):
        assert await served.metric("tensorgate_limit", setting=setting) == limit


async def test_rejections_have_a_reason(served: Served) -> None:
    await Rest(served).classify("shades", images=BLACK, version=3)
    assert await served.metric("tensorgate_rejected_total", protocol="rest", reason="not_ready") == 1


async def test_the_page_is_what_prometheus_reads(served: Served) -> None:
    await Rest(served).classify("shades", images=BLACK)
    plain = await served.rest.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(plain.text)}
    assert families["tensorgate_build_info"].samples[0].labels["backend"] == "tests.fakes:FakeBackend"
    assert "process_start_time_seconds" in families
    assert families["tensorgate_requests_in_flight"].samples[0].value == 0
    openmetrics = await served.rest.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.over_rest
async def test_a_deadline_that_nothing_can_keep_is_told_apart(served: Served) -> None:
    served.backend.gate.clear()
    for seconds in ("0.1", "0.4"):
        response = await served.rest.post(
            "/api/v1/models/shades/classify", json={"images": BLACK}, headers={"X-Request-Timeout": seconds}
        )
        assert response.status_code == 504
    for reason in ("short_deadline", "deadline"):
        assert await served.metric("tensorgate_rejected_total", protocol="rest", reason=reason) == 1
