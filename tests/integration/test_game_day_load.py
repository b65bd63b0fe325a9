"""The game day of docs/operations.md: what goes wrong with replicas and load, what is seen of it, what mends it."""

import asyncio
import json
import logging
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.conftest import serving, until
from tests.drift import images
from tests.gateway import gateway
from tests.processes import server_process
from tests.replicas import Replica, replicas
from tests.signals import shown, until_shown

pytestmark = pytest.mark.timeout(120)

CLASSIFY = "/api/v1/models/shades/classify"
BLACK: dict[str, Any] = {"images": [{"pixels": [[0] * 4] * 4}]}
FAKE = ("--backend", "tests.fakes:FakeBackend", "--models", "nowhere")


@pytest.mark.over_rest
async def test_a_replica_that_is_gone() -> None:
    one, two = Replica(), Replica()
    async with replicas(one, two), gateway(one, two) as served:
        await until(lambda: served.states() == ["serving", "serving"])
        await one.stop()
        await until(lambda: "serving" in served.states() and len(set(served.states())) == 2)
        assert [(await served.ask(value))[0] for value in range(10)] == [200] * 10
        labels = {"replica": one.address, "state": "serving"}
        assert await shown(served.rest, "TensorgateReplicaDown", "tensorgate_replica_state", **labels) == 0
        await two.stop()
        await until(lambda: "serving" not in served.states())
        status, body = await served.ask(1)
        assert (status, bool(body["error"])) == (503, True)
        assert await shown(served.rest, "TensorgateNoReplica", "tensorgate_replica_state", state="serving") == 0


@pytest.mark.over_rest
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")
async def test_an_expired_certificate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-days", "1", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *new, "-subj", "/CN=replica", "-keyout", "replica.key", "-out", "replica.csr")
    (tmp_path / "names").write_text("subjectAltName=DNS:replica.example")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", "-1")
    openssl("x509", "-req", "-in", "replica.csr", *signed, "-out", "replica.pem")
    pair = ((tmp_path / "replica.key").read_bytes(), (tmp_path / "replica.pem").read_bytes())
    one = Replica()
    await one.start(grpc.ssl_server_credentials([pair]))
    tls: dict[str, Any] = {"tfserving_ca": tmp_path / "ca.pem", "tfserving_server_name": "replica.example"}
    async with gateway(one, ready=False, **tls) as served:
        await until(lambda: served.states() == ["ejected"])
        assert (await served.ask(1))[0] == 503
        labels = {"replica": one.address, "state": "serving"}
        assert await shown(served.rest, "TensorgateReplicaDown", "tensorgate_replica_state", **labels) == 0
    await one.stop()
    assert any("certificate" in message.lower() for message in caplog.messages), caplog.messages


@pytest.mark.over_rest
async def test_a_client_that_floods(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(max_requests_in_flight=4) as served:
        served.backend.gate.clear()
        with caplog.at_level(logging.INFO, "tensorgate.access"):
            flood = [asyncio.create_task(served.rest.post(CLASSIFY, json=BLACK)) for _ in range(12)]
            await until(lambda: sum(task.done() for task in flood) == 8)
            served.backend.gate.set()
            answers = await asyncio.gather(*flood)
        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 8
        assert all(answer.headers["retry-after"] for answer in answers if answer.status_code == 429)
        assert await shown(served.rest, "TensorgateRefusing", "tensorgate_rejected_total", reason="overloaded") == 8
        lines: list[Any] = [record for record in caplog.records if record.name == "tensorgate.access"]
        assert {line.fields["peer"].rpartition(":")[0] for line in lines if line.fields["code"] == "overloaded"} == {
            "127.0.0.1"
        }


@pytest.mark.over_rest
async def test_a_slow_model(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(slow_request_seconds=0.25) as served:
        served.backend.gate.clear()
        with caplog.at_level(logging.INFO, "tensorgate.access"):
            asking = asyncio.create_task(served.rest.post(CLASSIFY, json=BLACK))
            await until(lambda: served.backend.runs == 1)
            await asyncio.sleep(0.3)
            served.backend.gate.set()
            assert (await asking).status_code == 200
        seen = ("TensorgateSlowBurnFast", "tensorgate_request_duration_seconds_bucket")
        ours = {"model_name": "shades", "code": "ok"}
        assert await shown(served.rest, *seen, le="0.25", **ours) == 0
        assert await shown(served.rest, *seen, le="+Inf", **ours) == 1
        assert await served.metric("tensorgate_phase_duration_seconds_sum", phase="execute") > 0.25
        [line] = [record for record in caplog.records if record.getMessage() == "slow request"]
        assert line.__dict__["fields"]["execute_ms"] > 250


@pytest.mark.over_rest
async def test_drifted_input() -> None:
    async with serving(backend="tests.drift:WatchedBackend", drift_share=1.0) as served:
        dark = 255 - images(512, mean=60)
        for start in range(0, len(dark), 32):
            body = {"instances": dark[start : start + 32].tolist()}
            assert (await served.rest.post("/v1/models/shades:predict", json=body)).status_code == 200
        one = {"model_name": "shades", "signature_name": "serving_default", "tensor": "images", "statistic": "mean"}
        alert = "TensorgateDrift"
        assert await shown(served.rest, alert, "tensorgate_drift_psi", **one) > 0.25
        assert await shown(served.rest, alert, "tensorgate_drift_p_value", **one) < 0.001
        assert await shown(served.rest, alert, "tensorgate_drift_rows", **one) >= 200


@pytest.mark.over_rest
async def test_memory_that_grows() -> None:
    async with serving() as served:
        served.backend.gate.clear()
        body = b'{"instances": ' + b" " * 2**20 + json.dumps([[[[0]] * 4] * 4]).encode() + b"}"
        held = [asyncio.create_task(served.rest.post("/v1/models/shades:predict", content=body)) for _ in range(8)]
        seen = ("TensorgateBytesNearLimit", "tensorgate_request_bytes_held")
        await until_shown(served.rest, *seen, lambda size: size >= 8 * 2**20)
        alert = "TensorgateMemoryNearLimit"
        resident = await shown(served.rest, alert, "process_resident_memory_bytes")
        assert 0 < resident < await shown(served.rest, alert, "tensorgate_memory_limit_bytes")
        served.backend.gate.set()
        assert {answer.status_code for answer in await asyncio.gather(*held)} == {200}
        assert await served.metric("tensorgate_request_bytes_held") == 0


async def _ask_either(urls: list[str], stop: asyncio.Event) -> list[int]:
    """Asks the first server that answers, again and again; returns the statuses that clients saw in the end."""
    statuses = []
    async with httpx.AsyncClient(timeout=20) as client:
        while not stop.is_set():
            status = 0
            for url in urls:
                try:
                    status = (await client.post(url + CLASSIFY, json=BLACK)).status_code
                except httpx.TransportError:
                    continue
                if status != 503:
                    break
            statuses.append(status)
    return statuses


@pytest.mark.over_rest
async def test_a_restart_under_load() -> None:
    def both() -> None:
        one.announcement()
        two.announcement()

    with server_process(*FAKE) as one, server_process(*FAKE) as two:
        await asyncio.to_thread(both)
        stop = asyncio.Event()
        asking = [asyncio.create_task(_ask_either([one.rest, two.rest], stop)) for _ in range(4)]
        async with httpx.AsyncClient(base_url=two.rest) as rest:
            alert, metric = "TensorgateRestarting", "process_start_time_seconds"
            assert await shown(rest, alert, metric) > 0
            await asyncio.sleep(0.5)
            assert await asyncio.to_thread(one.stop, signal.SIGTERM) == 0
            seen = ("TensorgateErrorsBurnFast", "tensorgate_requests_total")
            before = await shown(rest, *seen, code="ok")
            await until_shown(rest, *seen, lambda answered: answered >= before + 50, code="ok")
        stop.set()
        statuses = [status for answered in await asyncio.gather(*asking) for status in answered]
        assert len(statuses) > 50
        assert set(statuses) == {200}
