"""Start and stop: readiness, signals, draining, addresses that are taken, logs."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import threading
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.app.lifecycle import Server
from service.app.settings import load
from service.core.catalog import Catalog
from tests.clients import classify_request, error_outcome, problem_outcome
from tests.conftest import Served, serving, until
from tests.fakes import FakeBackend
from tests.processes import ROOT, server_process

FAKE = ["--backend", "tests.fakes:FakeBackend"]
SLOW = ["--backend", "tests.fakes:SlowBackend"]
CLASSIFY = "/api/v1/models/shades/classify"
BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}


async def health(served: Served) -> int:
    stub: Any = health_pb2_grpc.HealthStub(served.channel)
    status: int = (await stub.Check(health_pb2.HealthCheckRequest())).status
    return status


async def test_it_is_ready_only_once_the_models_are(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = asyncio.Event()
    start = FakeBackend.start

    async def start_late(self: FakeBackend, catalog: Catalog) -> None:
        await loaded.wait()
        await start(self, catalog)

    monkeypatch.setattr(FakeBackend, "start", start_late)
    settings = load({"backend": "tests.fakes:FakeBackend", "rest_port": 0, "grpc_port": 0})
    async with (
        Server(settings) as runtime,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}") as rest,
    ):
        assert (await rest.get("/livez")).status_code == 200
        before = await rest.get("/readyz")
        assert (before.status_code, before.json()["status"]) == (503, "not ready")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest()
            assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
            loaded.set()
            await runtime.ready()
            assert (await rest.get("/readyz")).status_code == 200
            assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING


async def test_a_stop_lets_requests_in_flight_finish_and_takes_no_new_ones() -> None:
    async with serving(drain_delay=2, max_batches_in_flight=3, max_batches_per_model=3) as served:
        served.backend.gate.clear()
        over_rest = asyncio.create_task(served.rest.post(CLASSIFY, json=BLACK))
        over_grpc = served.stub.Classify(classify_request("shades", **BLACK))
        stream = served.stub.ClassifyStream()
        await stream.write(classify_request("shades", **BLACK))
        await until(lambda: served.backend.runs == 3)
        stopping = asyncio.create_task(served.runtime.__aexit__(None, None, None))
        await until(lambda: not served.runtime._accepting())
        # Still serving, so that load balancers can notice; but not ready.
        assert (await served.rest.get("/readyz")).json()["accepting"] is False
        assert await health(served) == health_pb2.HealthCheckResponse.NOT_SERVING
        await until(served.runtime.admission.draining.is_set)
        served.backend.gate.set()
        assert (await over_rest).status_code == 200
        assert (await over_grpc).model == "shades"
        assert (await stream.read()).response.model == "shades"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert error_outcome(caught.value).code == "not_ready"
        await stopping
        assert served.backend.closed


async def test_while_draining_a_request_is_told_to_go_elsewhere() -> None:
    async with serving() as served:
        served.runtime.admission.refuse()
        response = await served.rest.post(CLASSIFY, json=BLACK)
        assert (response.status_code, problem_outcome(response).code) == (503, "not_ready")
        assert response.headers["retry-after"]


async def test_what_does_not_finish_in_time_is_given_up() -> None:
    async with serving(drain_timeout=1, max_batches_per_model=2) as served:
        served.backend.gate.clear()
        request = asyncio.create_task(served.rest.post(CLASSIFY, json=BLACK))
        call = served.stub.Classify(classify_request("shades", **BLACK))
        await until(lambda: served.backend.runs == 2)
        await asyncio.wait_for(served.runtime.__aexit__(None, None, None), 25)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        with pytest.raises(httpx.HTTPError):
            (await request).raise_for_status()


async def test_a_watch_of_the_health_service_does_not_hold_up_a_stop() -> None:
    async with serving(drain_timeout=30) as served:
        stub: Any = health_pb2_grpc.HealthStub(served.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        await asyncio.wait_for(served.runtime.__aexit__(None, None, None), 25)


async def test_an_address_that_is_taken_is_an_error(served: Served) -> None:
    for ports in ({"rest_port": served.runtime.rest_port}, {"grpc_port": served.runtime.grpc_port}):
        settings = load({"backend": "tests.fakes:FakeBackend", "rest_port": 0, "grpc_port": 0} | ports)
        with pytest.raises(OSError, match=r"listen|in use"):
            async with Server(settings):
                pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_status_zero(number: int) -> None:
    with server_process(*FAKE) as server:
        assert "Tensorgate serves double, shades, steps" in server.announcement()
        assert httpx.get(server.rest + "/readyz").status_code == 200
        assert server.stop(number) == 0


def test_a_request_in_flight_is_answered_before_the_process_ends() -> None:
    with server_process(*SLOW, TENSORGATE_TEST_SLOW_SECONDS="4") as server:
        server.announcement()
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(httpx.post(server.rest + CLASSIFY, json=BLACK, timeout=60))
        )
        asking.start()
        while "tensorgate_requests_in_flight 1.0" not in httpx.get(server.rest + "/metrics").text:
            pass
        assert server.stop() == 0
        asking.join()
        assert [answer.status_code for answer in answers] == [200]


def test_a_hangup_ends_nothing_and_says_what_it_does() -> None:
    with server_process(*FAKE) as server:
        server.announcement()
        for _ in range(2):
            server.process.send_signal(signal.SIGHUP)
            seen = len(server.lines)
            while not any("what is served is as it was" in line for line in server.lines[seen:]):
                assert server.process.poll() is None
        assert httpx.get(server.rest + "/readyz").status_code == 200
        assert server.stop() == 0
    assert any("a change of a setting needs a restart" in line for line in server.lines)


def test_neither_does_one_during_the_start_or_the_drain() -> None:
    with server_process(*FAKE, "--drain-delay", "1") as server:
        while not server.lines:  # what comes before is Python's own
            assert server.process.poll() is None
        server.process.send_signal(signal.SIGHUP)
        server.announcement()
        server.process.send_signal(signal.SIGTERM)
        while not any('"message":"stopping' in line for line in server.lines):
            pass
        assert server.stop(signal.SIGHUP) == 0


def _post(rest: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        httpx.post(rest + CLASSIFY, json=BLACK, timeout=30)


def test_a_second_signal_ends_the_process_at_once() -> None:
    with server_process(*SLOW, TENSORGATE_TEST_SLOW_SECONDS="20") as server:
        server.announcement()
        asking = threading.Thread(target=_post, args=(server.rest,))
        asking.start()
        while "tensorgate_requests_in_flight 1.0" not in httpx.get(server.rest + "/metrics").text:
            pass
        server.process.send_signal(signal.SIGTERM)
        while not any('"message":"stopping' in line for line in server.lines):
            pass
        assert server.stop() == 130
        asking.join()


@pytest.mark.parametrize(("logged", "expected"), [("failed", ["two"]), ("none", [])])
def test_of_the_requests_only_those_are_logged_that_are_to_be(logged: str, expected: list[str]) -> None:
    with server_process(*FAKE, "--access-log", logged) as server:
        server.announcement()
        httpx.post(server.rest + CLASSIFY, json=BLACK, headers={"x-request-id": "one"})
        httpx.post(server.rest + CLASSIFY, json={}, headers={"x-request-id": "two"})
        assert server.stop() == 0
        assert [entry["request_id"] for entry in server.entries("tensorgate.access")] == expected


def test_each_request_has_one_line_in_the_log_and_probes_have_none() -> None:
    with server_process(*FAKE, "--access-log", "all") as server:
        server.announcement()
        for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
            assert httpx.get(server.rest + path).status_code == 200
        httpx.post(server.rest + CLASSIFY, json=BLACK, headers={"x-request-id": "one"})
        httpx.post(server.rest + CLASSIFY, json={}, headers={"x-request-id": "two"})
        with grpc.insecure_channel(server.grpc) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)
            health.Check(health_pb2.HealthCheckRequest())
            from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub

            stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
            stub.Classify(classify_request("shades", **BLACK), metadata=(("x-request-id", "three"),))
        assert server.stop() == 0
        one, two, three = server.entries("tensorgate.access")
    assert {name: one[name] for name in ("request_id", "protocol", "method", "model", "version", "code", "rows")} == {
        "request_id": "one",
        "protocol": "rest",
        "method": "POST /api/v1/models/{model}/classify",
        "model": "shades",
        "version": 2,
        "code": "ok",
        "rows": 1,
    }
    assert (two["request_id"], two["code"], two["model"]) == ("two", "invalid_input", "shades")
    assert (three["request_id"], three["protocol"], three["code"]) == ("three", "grpc", "ok")
    assert all(entry["duration_ms"] > 0 for entry in (one, two, three))


def test_an_unexpected_error_is_in_the_log_under_the_request_id() -> None:
    with server_process("--backend", "tests.fakes:FailingBackend") as server:
        server.announcement()
        response = httpx.post(server.rest + CLASSIFY, json=BLACK, headers={"x-request-id": "bad"})
        assert (response.status_code, response.json()["code"]) == (500, "internal")
        assert "secret" not in response.text
        server.stop()
    [entry] = [json.loads(line) for line in server.lines if "/secret" in line]
    assert entry["request_id"] == "bad"
    assert "Traceback" in entry["exception"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rest-port", "x"], "rest_port: expected a valid integer"),
        (["--backend", "nope"], "there is no backend 'nope'"),
        (["--backend", "no.such.module:Class"], "needs the module"),
        (["--backend", "tests.fakes:Nope"], "has no 'Nope'"),
        (["--backend", "json:dumps"], "'json:dumps' is no backend: it has no start, run, close"),
        (["--version-policy", "newest"], "version_policy: expected latest, latest:N, all or specific"),
        (["--config", "/nonexistent.toml"], "cannot be read"),
        (["--host", "203.0.113.1", "--insecure", *FAKE], "cannot listen on 203.0.113.1"),
        (["--host", "0.0.0.0", *FAKE], "it needs TLS or access control, or --insecure (TENSORGATE_INSECURE=true)"),
        (["--admin-address", "0.0.0.0:0", *FAKE], "expected a host that this machine alone reaches"),
        (["--trusted-hashes", "trusted", "--backend", "tfserving"], "go with the backend savedmodel"),
        (["--trusted-hashes", "/nonexistent"], "trusted_hashes /nonexistent: No such file"),
        (["--trusted-key", "/nonexistent"], "trusted_key /nonexistent: No such file"),
    ],
)
def test_a_start_that_cannot_succeed_says_why_and_ends_with_status_two(arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_every_line_of_both_outputs_is_json() -> None:
    with server_process(*FAKE, "--log-level", "debug", TENSORGATE_MAX_BATCH_ROWS="64") as server:
        assert json.loads(server.announcement())["message"].startswith("Tensorgate serves double")
        httpx.post(server.rest + CLASSIFY, json={})
        assert server.stop() == 0
        entries = [json.loads(line) for line in server.lines]
    assert all({"time", "level", "logger", "message"} <= set(entry) for entry in entries)
    assert any("max_batch_rows is called max_request_rows now" in entry["message"] for entry in entries)
    assert any(entry["logger"] == "h2corn" for entry in entries)  # of its start


def test_text_is_for_people() -> None:
    with server_process(*FAKE, "--log-format", "text") as server:
        assert server.announcement().startswith("Tensorgate serves double")
        assert server.stop() == 0


def test_a_misspelt_variable_is_warned_of() -> None:
    with server_process(*FAKE, TENSORGATE_PROT="1") as server:
        server.announcement()
        server.stop()
    assert any("TENSORGATE_PROT is set, and is no setting" in line for line in server.lines)
