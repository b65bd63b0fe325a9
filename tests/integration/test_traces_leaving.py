"""How traces leave the process, and what else tells of them: logs, exemplars; and that nothing is harmed without."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from service.app.tracing import tracer
from tests.clients import Rest
from tests.conftest import serving, until
from tests.otlp import PARENT_ID, TRACE_ID, TRACEPARENT, UNSAMPLED, Receiver, receiving_grpc, receiving_http
from tests.processes import ROOT, free_port, server_process

FAKE = ("--backend", "tests.fakes:FakeBackend")
BODY = {"images": [{"pixels": [[0] * 4] * 4}]}
CLASSIFY = "POST /api/v1/models/{model}/classify"
OPEN_METRICS = {"accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def nobody() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture
def silence() -> Iterator[str]:
    """Where connections are accepted, and nothing is ever answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("protocol", "receiving"), [("", receiving_grpc), ("grpc", receiving_grpc), ("http/protobuf", receiving_http)]
)
async def test_they_go_where_and_as_the_environment_says(
    protocol: str, receiving: Callable[[], AbstractContextManager[Receiver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=one",
            "OTEL_SERVICE_NAME": "digits",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        async with serving() as served:
            await Rest(served).classify("shades", **BODY)
            await receiver.some(CLASSIFY)
    [resource, *_] = receiver.resources
    expected = {"service.name": "digits", "deployment.environment.name": "test", "service.version": "0.1.0"}
    assert expected.items() <= resource.items()
    assert receiver.headers["x-tenant"] == "one"


async def test_what_was_not_sent_yet_is_sent_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    with receiving_grpc() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        async with serving() as served:
            await Rest(served).classify("shades", **BODY)
            assert not receiver.spans
        assert len(receiver.named(CLASSIFY)) == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("endpoint", ["nobody", "silence"])
def test_a_receiver_that_is_not_there_harms_nothing(
    protocol: str, endpoint: str, request: pytest.FixtureRequest
) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": request.getfixturevalue(endpoint),
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "10",
    }
    with server_process(*FAKE, **variables) as server:
        server.announcement()
        for _ in range(50):
            answer = httpx.post(f"{server.rest}/api/v1/models/shades/classify", json=BODY, timeout=10)
            assert answer.status_code == 200
        assert server.stop() == 0
    complaints = [line for line in server.lines if "spans" in line]
    assert 1 <= len(complaints) <= 2  # that some may be lost; at the end, that the last ones are
    assert not [line for line in server.lines if "Traceback" in line]


async def test_the_end_does_not_wait_for_a_receiver_that_hangs(
    silence: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silence)
    monkeypatch.setattr("service.telemetry.tracing._CLOSE_SECONDS", 0.2)
    async with serving() as served:
        await Rest(served).classify("shades", **BODY)
    assert "could not be sent within 0.2 s" in caplog.text


def loaded(program: str, **variables: str) -> Any:
    """Returns what a program says in JSON that runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, cwd=ROOT, check=True
    )
    return json.loads(done.stdout)


SERVES = """
import asyncio, json, sys
from service.app.lifecycle import Server
from service.app.settings import load
async def main():
    async with Server(load({"backend": "tests.fakes:FakeBackend", "rest_port": 0, "grpc_port": 0})) as server:
        await server.ready()
        print(json.dumps([server._tracer is not None, sorted(n for n in sys.modules if n.startswith("opentelemetry"))]))
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_of_it_is_loaded_where_there_is_nowhere_to_send_traces(variables: dict[str, str]) -> None:
    assert loaded(SERVES, **variables) == [False, []]


LACKS_THEM = """
import json, logging, sys
sys.modules["opentelemetry"] = None
from service.app.tracing import tracer
said = []
logging.getLogger("service.app.tracing").addFilter(lambda record: said.append(record.getMessage()))
print(json.dumps([tracer(), said]))
"""


def test_without_the_packages_it_serves_and_says_what_is_missing() -> None:
    made, [said] = loaded(LACKS_THEM, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:4317")
    assert made is None
    assert said.startswith("nothing is traced: opentelemetry")
    assert said.endswith("pip install '.[tracing]' in a clone of Tensorgate")


def test_a_protocol_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    assert tracer() is None
    assert "OTEL_EXPORTER_OTLP_PROTOCOL: expected grpc or http/protobuf, got 'http/json'" in caplog.text


def test_lines_of_a_request_name_its_trace(nobody: str) -> None:
    arguments = ("--backend", "tests.fakes:FailingBackend", "--access-log", "all")
    with server_process(*arguments, OTEL_EXPORTER_OTLP_ENDPOINT=nobody) as server:
        server.announcement()
        for traceparent in (TRACEPARENT, UNSAMPLED):
            headers = {"traceparent": traceparent}
            httpx.post(f"{server.rest}/api/v1/models/shades/classify", json=BODY, headers=headers, timeout=10)
        assert server.stop() == 0
    access, errors = server.entries("tensorgate.access"), server.entries("service.errors")
    assert len(access) == len(errors) == 2
    for line, error in zip(access, errors, strict=True):
        assert line["trace_id"] == error["trace_id"] == TRACE_ID
        assert line["span_id"] == error["span_id"] != PARENT_ID
        assert re.fullmatch("[0-9a-f]{16}", line["span_id"])


async def test_latencies_have_exemplars_for_who_asks_for_open_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving_grpc() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        async with serving() as served:
            classify = "/api/v1/models/shades/classify"
            await served.rest.post(classify, json=BODY, headers={"traceparent": UNSAMPLED})
            untraced = (await served.rest.get("/metrics", headers=OPEN_METRICS)).text
            await served.rest.post(classify, json=BODY, headers={"traceparent": TRACEPARENT})
            text = (await served.rest.get("/metrics", headers=OPEN_METRICS)).text
            plain = (await served.rest.get("/metrics")).text
    assert "trace_id" not in untraced
    assert "trace_id" not in plain
    exemplars = {
        (sample.name, sample.labels.get("phase")): sample.exemplar
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    }
    names = {name for name, _ in exemplars}
    assert names == {"tensorgate_request_duration_seconds_bucket", "tensorgate_phase_duration_seconds_bucket"}
    assert {phase for _, phase in exemplars} >= {None, "execute", "encode"}
    [span] = receiver.named(CLASSIFY)
    for exemplar in exemplars.values():
        assert exemplar.labels == {"trace_id": TRACE_ID, "span_id": span.span_id}
        assert 0 <= exemplar.value < 30


async def test_there_are_no_exemplars_without_traces() -> None:
    async with serving() as served:
        await Rest(served).classify("shades", **BODY)
        assert "trace_id" not in (await served.rest.get("/metrics", headers=OPEN_METRICS)).text


async def test_the_log_is_not_flooded_when_the_queue_is_full(
    silence: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silence)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    monkeypatch.setattr("service.telemetry.tracing._CLOSE_SECONDS", 0.1)
    monkeypatch.setattr("service.telemetry.tracing._complaints._next", 0.0)
    async with serving() as served:
        await asyncio.gather(*(Rest(served).classify("shades", **BODY) for _ in range(40)))
        await until(lambda: "spans may be lost" in caplog.text)
    assert caplog.text.count("spans may be lost") == 1
