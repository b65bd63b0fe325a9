"""Replicas that are hung, busy, broken or talk nonsense: none of it spreads."""

import asyncio
import os
from pathlib import Path

import grpc
import httpx
import pytest
from grpc import aio
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from service.app.lifecycle import Server
from service.app.settings import load
from tests.conftest import until
from tests.gateway import gateway
from tests.replicas import Replica, Status, replicas

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
GOOD = (200, {"predictions": [2.0]})


async def test_a_replica_that_hangs_while_the_gateway_starts_is_used_once_it_answers() -> None:
    async with replicas(Replica(), Replica()) as (one, two):
        one.silent.clear()
        async with gateway(one, two) as served:
            await until(lambda: sorted(served.states()) == ["ejected", "serving"])
            one.silent.set()
            await until(lambda: served.states() == ["serving", "serving"])
            one.asked.clear()
            assert [await served.ask(1) for _ in range(4)] == [GOOD] * 4
            assert one.asked


async def test_the_only_replica_may_hang_while_the_gateway_starts() -> None:
    async with replicas(Replica()) as (one,):
        one.silent.clear()
        async with gateway(one, ready=False) as served:
            await until(lambda: served.states() == ["ejected"])
            one.silent.set()
            await asyncio.wait_for(served.runtime.ready(), 30)
            assert await served.ask(1) == GOOD


async def test_a_model_that_cannot_be_described_harms_no_other() -> None:
    one = Replica()
    one.models = {"m", "bad"}
    async with replicas(one), gateway(one, ready=False, tfserving_models="m,bad") as served:
        await until(lambda: served.versions() == {1: "AVAILABLE"})
        await until(lambda: "bad" in served.runtime.catalog)
        [bad] = served.runtime.catalog.versions("bad")
        await until(lambda: served.runtime.catalog.versions("bad")[0].error != "")
        assert [await served.ask(1) for _ in range(10)] == [GOOD] * 10
        assert served.states() == ["serving"]
        answer = await served.rest.post("/v1/models/bad:predict", json={"instances": [1]})
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert "no metadata" in answer.json()["error"]
        assert bad.version == 1


async def test_a_replica_that_is_too_busy_for_a_probe_goes_on() -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        one.probe_failure = (EXHAUSTED, "Server Threadpool Exhausted")
        for _ in range(10):
            assert await served.ask(1) == GOOD
            await asyncio.sleep(0.03)
        assert served.states() == ["serving"]


async def test_one_without_room_is_not_asked_first_for_being_empty() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two, retry_ratio=1) as served:
        one.failure = (EXHAUSTED, "Server Threadpool Exhausted")
        one.asked.clear()
        two.asked.clear()
        assert [await served.ask(1) for _ in range(60)] == [GOOD] * 60
        assert len(one.asked) < 20
        assert served.states() == ["serving", "serving"]


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        ((grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue for this task is full"), 429, "overloaded"),
        ((EXHAUSTED, "Run() timeout exceeded while waiting in batching queue"), 504, "timeout"),
        ((EXHAUSTED, "OOM when allocating tensor with shape[9]"), 500, "backend_failed"),
    ],
)  # fmt: skip
async def test_texts_that_say_more_than_their_codes(
    failure: tuple[grpc.StatusCode, str], status: int, code: str
) -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        one.failure = failure
        answered, body = await served.ask(1)
        assert (answered, body["code"]) == (status, code)
        assert served.states() == ["serving"]


async def test_the_only_replica_is_not_left_out_for_failing() -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        one.failure = (grpc.StatusCode.INTERNAL, "it broke")
        assert {(await served.ask(1))[0] for _ in range(30)} == {500}
        one.failure = None
        assert await served.ask(1) == GOOD


async def test_a_replica_that_is_gone_is_ejected_by_the_first_request_and_not_for_saying_that_it_is_unavailable() -> (
    None
):
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two, probe_seconds=3600) as served:
        one.failure = two.failure = (grpc.StatusCode.UNAVAILABLE, "going down")
        assert {(await served.ask(1))[0] for _ in range(2)} == {503}
        assert served.states() == ["serving", "serving"]
        one.failure = two.failure = None
        await one.stop()
        assert [await served.ask(1) for _ in range(4)] == [GOOD] * 4
        assert sorted(served.states()) == ["ejected", "serving"]
        assert (await served.metrics("tensorgate_replica_ejections_total")) == {
            f'{{reason="failures",replica="{one.address}"}}': 1
        }
        assert (await served.metrics("tensorgate_backend_retries_total"))['{reason="backend_unavailable"}'] >= 3


async def test_a_request_that_ends_replicas_does_not_end_them_all() -> None:
    made = (Replica(), Replica(), Replica())
    async with replicas(*made), gateway(*made, probe_seconds=3600) as served:
        for replica in made:
            replica.asked.clear()
            replica.crashes = True
        status, body = await served.ask(1)
        assert (status, body["code"]) == (503, "backend_unavailable")
        assert sorted(len(replica.asked) for replica in made) == [0, 1, 1]
        assert sorted(served.states()) == ["ejected", "ejected", "serving"]


async def test_nonsense_is_the_backends_fault() -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        one.nonsense = True
        status, body = await served.ask(1)
        assert (status, body["code"]) == (500, "backend_failed")
        assert "no PredictResponse" in body["error"]


async def test_where_one_talks_nonsense_another_is_asked() -> None:
    async with replicas(Replica(), Replica()) as (one, two), gateway(one, two, probe_seconds=3600) as served:
        one.nonsense = True
        one.asked.clear()
        assert [await served.ask(1) for _ in range(30)] == [GOOD] * 30
        assert len(one.asked) == 10
        assert (await served.metrics("tensorgate_replica_ejections_total")) == {
            f'{{reason="failures",replica="{one.address}"}}': 1
        }


async def test_what_is_served_is_served_on_while_a_reload_takes_its_time_and_fails(tmp_path: Path) -> None:
    async with replicas(Replica()) as (one,), gateway(one, models=tmp_path) as served:
        one.reloading.clear()
        one.refusal = "no such file"
        request = model_management_pb2.ReloadConfigRequest()
        request.config.model_config_list.config.add(name="other", base_path=str(tmp_path / "other"))
        async with aio.insecure_channel(f"127.0.0.1:{served.runtime.grpc_port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            reload = asyncio.ensure_future(stub.HandleReloadConfigRequest(request))
            await until(lambda: one.configs != [])
            for _ in range(5):
                assert await served.ask(1) == GOOD
                assert (await served.rest.get("/readyz")).status_code == 200
                await asyncio.sleep(0.05)
            one.reloading.set()
            with pytest.raises(aio.AioRpcError, match="no such file"):
                await reload
        assert await served.ask(1) == GOOD


async def test_a_version_with_another_signature_after_a_restart_is_described_anew() -> None:
    async with replicas(Replica()) as (one,), gateway(one) as served:
        before = served.runtime.catalog.versions("m")[0]
        await one.stop()
        await until(lambda: served.states() == ["ejected"])
        one.output = "z"
        await one.start()
        await until(lambda: "z" in served.runtime.catalog.versions("m")[0].signatures["serving_default"].outputs)
        assert served.runtime.catalog.versions("m")[0].handle is not before.handle
        assert (await served.ask(1))[0] == 200


async def test_a_folder_whose_name_is_not_utf_8_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH102  # a name that no text stands for
    async with replicas(Replica()) as (one,), gateway(one, tfserving_models="", models=tmp_path) as served:
        assert await served.ask(1) == GOOD
        assert served.runtime.catalog.readiness() == {"m": True}


async def test_a_gateway_that_is_stopped_while_it_starts_ends(tmp_path: Path) -> None:
    config = tmp_path / "models.config"
    config.write_text('model_config_list { config { name: "m" base_path: "/models/m" } }')
    async with replicas(Replica()) as (one,):
        one.silent.clear()
        settings = {"backend": "tfserving", "tfserving_addresses": one.address, "model_config_file": config}
        runtime = Server(load(settings | {"rest_port": 0, "grpc_port": 0, "probe_timeout": 60, "drain_timeout": 1}))
        async with asyncio.timeout(10):
            async with runtime, httpx.AsyncClient() as client:
                assert (await client.get(f"http://127.0.0.1:{runtime.rest_port}/livez")).status_code == 200


async def test_old_versions_stay_listed_for_ever_and_harm_nobody() -> None:
    one = Replica(900)
    one.versions = dict.fromkeys(range(1, 900), Status.END) | {900: Status.AVAILABLE}
    async with replicas(one), gateway(one) as served:
        assert served.versions() == {900: "AVAILABLE"}
        assert await served.ask(0) == (200, {"predictions": [900.0]})
