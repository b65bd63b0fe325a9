"""Versions that leave memory for others and come back, with real TensorFlow, by every protocol."""

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from service.app.settings import SettingsError, load
from service.wire import tensorflow_serving_pb2 as tfs
from tests import telling_models
from tests.conftest import until
from tests.memory import AVAILABLE, SERIES, STANDBY, answered, bounded, entry, forecast, samples, size_of, states
from tests.real_server import serving_models
from tests.version_clients import CLIENTS, Client


async def test_those_that_were_not_asked_for_the_longest_leave(four_models: Path) -> None:
    async with bounded(four_models, room=2.5) as server:
        assert states(server) == [AVAILABLE, AVAILABLE, STANDBY, STANDBY]
        await answered(server, "b", "a", "c")
        assert states(server) == [AVAILABLE, STANDBY, AVAILABLE, STANDBY]
        await answered(server, "a", "d")
        assert states(server) == [AVAILABLE, STANDBY, STANDBY, AVAILABLE]
        assert await samples(server, "tensorgate_model_evictions_total") == {"b": 1, "c": 1}
        loads = await samples(server, "tensorgate_model_load_duration_seconds_count")
        assert loads == {"a": 1, "b": 1, "c": 1, "d": 1}
        [taken] = (await samples(server, "tensorgate_loaded_bytes")).values()
        assert taken == 2 * size_of(four_models / "a" / "1")


async def test_what_is_not_in_memory_is_told_as_such_and_ready(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:
        await answered(server, "b")  # which was never loaded; a was
        ready = await server.rest.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["models"]["a"] == {"ready": True, "versions": {"1": {"state": "STANDBY", "error": ""}}}
        info = (await server.rest.get("/api/v1/models/a")).json()["versions"][0]
        assert (info["state"], info["kind"], info["error"]) == ("STANDBY", "forecaster", "")
        listed = {each["name"]: each for each in (await server.rest.get("/api/v1/models")).json()["models"]}
        never = listed["c"]["versions"][0]
        assert (never["state"], never["kind"], never["signatures"]) == ("STANDBY", "", [])
        index = {each["name"]: each for each in (await server.rest.post("/v2/repository/index")).json()}
        assert (index["a"]["state"], index["b"]["reason"]) == ("READY", "")
        assert index["a"]["reason"] == "not in memory, and loaded when it is asked for"
        assert (await server.rest.get("/v2/models/a/ready")).status_code == 200
        [status] = (await server.rest.get("/v1/models/a")).json()["model_version_status"]
        assert status["state"] == "AVAILABLE"
        # What it takes is known since it was loaded, and does not bring it back; what never was loaded has to be.
        assert (await server.rest.get("/v2/models/a")).json()["inputs"][0]["name"] == "history"
        assert states(server) == [STANDBY, AVAILABLE, STANDBY, STANDBY]
        assert (await server.rest.get("/v2/models/c")).json()["inputs"][0]["name"] == "history"
        assert states(server) == [STANDBY, STANDBY, AVAILABLE, STANDBY]
        info = (await server.rest.get("/api/v1/models/d")).json()["versions"][0]
        assert (info["state"], info["kind"]) == ("AVAILABLE", "forecaster")


async def test_many_callers_share_one_load_and_are_told_of_the_wait(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:
        answers = await asyncio.gather(*(forecast(server, "b") for _ in range(40)))
        assert [answer.status_code for answer in answers] == [200] * 40
        assert (await samples(server, "tensorgate_model_load_duration_seconds_count"))["b"] == 1
        assert all(answer.headers["server-timing"].startswith("load;dur=") for answer in answers)
        assert "server-timing" not in (await forecast(server, "b")).headers
        text = (await server.rest.get("/metrics")).text
        assert 'tensorgate_phase_duration_seconds_count{model_name="b",model_version="1",phase="load"} 40' in text


async def test_every_protocol_brings_a_version_back(tmp_path: Path) -> None:
    telling_models.save(tmp_path / "saved", 3)
    for name in telling_models.NAMES:
        shutil.copytree(tmp_path / "saved" / name, tmp_path / "models" / name / "1")
    clients = [(model, client) for model, several in CLIENTS.items() for client in several]
    size = max(size_of(tmp_path / "saved" / name) for name in telling_models.NAMES)
    async with serving_models(tmp_path / "models", max_loaded_bytes=size) as server:

        async def ask(model: str, client: Client) -> None:
            answers = await client(server, None)
            assert all(isinstance(told, tuple) and told[1] == 3 for told in answers), (model, client)

        for model, client in clients:  # each finds its model as one that has just left
            other = "ahead" if model != "ahead" else "shades"
            await ask(other, CLIENTS[other][0])
            assert entry(server, model).told_state is STANDBY
            await ask(model, client)
            assert entry(server, model).told_state is AVAILABLE
        # All at once, they take turns, and nobody is refused.
        async with asyncio.timeout(60), asyncio.TaskGroup() as asking:
            for model, client in clients * 2:
                asking.create_task(ask(model, client))


async def test_a_version_in_use_stays_and_others_wait_for_it_within_bounds(four_models: Path) -> None:
    async with bounded(four_models, room=1.5, max_load_wait=0.5) as server:
        await answered(server, "a")
        used = entry(server, "a")
        assert used.residence is not None
        used.residence.enter()  # as a request does
        refused = await forecast(server, "b")
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert int(refused.headers["retry-after"]) >= 1
        assert "model 'b'" in refused.json()["detail"]
        predict: Any = server.channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=tfs.PredictRequest.SerializeToString,
            response_deserializer=tfs.PredictResponse.FromString,
        )
        with pytest.raises(Exception, match="UNAVAILABLE"):
            await predict(tfs.PredictRequest(model_spec=tfs.ModelSpec(name="b")), timeout=20)
        assert used.handle.model is not None  # type: ignore[attr-defined]
        await until(lambda: entry(server, "a").told_state is AVAILABLE)  # what it was to leave for was given up
        await answered(server, "a")


async def test_a_version_leaves_once_nobody_uses_it_and_takes_no_more_requests_until_then(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:
        used = entry(server, "a")
        assert used.residence is not None
        used.residence.enter()  # as a request does
        waiting = asyncio.create_task(forecast(server, "b"))
        await until(lambda: entry(server, "a").told_state is STANDBY)
        assert used.handle.model is not None  # type: ignore[attr-defined]
        used.residence.leave()
        assert (await waiting).status_code == 200
        assert states(server)[:2] == [STANDBY, AVAILABLE]


async def test_whoever_cannot_wait_is_told_that_it_is_being_loaded_and_it_goes_on(
    four_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bounded(four_models, room=1.5, max_load_wait=3) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        loaded, may_load = runner.load, threading.Event()

        def slow(*args: Any, **options: Any) -> Any:
            may_load.wait(60)
            return loaded(*args, **options)

        monkeypatch.setattr(runner, "load", slow)
        hasty = await server.rest.post(
            "/api/v1/models/b/forecast", json=SERIES, headers={"x-request-timeout": "2"}
        )  # the client's own bound is the nearer one
        assert (hasty.status_code, hasty.json()["code"]) == (503, "not_ready")
        refused = await forecast(server, "b")
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert "version 1 of model 'b' is being loaded, as it was not in memory" in refused.json()["detail"]
        assert (await server.rest.get("/readyz")).json()["models"]["b"]["versions"]["1"]["progress"]["stage"]
        may_load.set()
        await until(lambda: entry(server, "b").told_state is AVAILABLE)
        await answered(server, "b")
        assert (await samples(server, "tensorgate_model_load_duration_seconds_count"))["b"] == 1


async def test_more_may_not_wait_than_in_a_queue(four_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bounded(four_models, room=1.5, max_queue_size=3) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        loaded, may_load = runner.load, threading.Event()
        monkeypatch.setattr(runner, "load", lambda *args, **options: (may_load.wait(60), loaded(*args, **options))[1])
        asking = [asyncio.create_task(forecast(server, "b")) for _ in range(8)]
        await until(lambda: sum(task.done() for task in asking) == 5)
        may_load.set()
        answers = await asyncio.gather(*asking)
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5


async def test_two_models_that_are_asked_all_the_time_take_turns(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:

        async def ask(name: str) -> None:
            for _ in range(5):
                await answered(server, name)

        async with asyncio.timeout(60), asyncio.TaskGroup() as asking:
            for name in ("a", "b") * 8:
                asking.create_task(ask(name))


async def test_the_backend_tfserving_refuses_the_bound() -> None:
    with pytest.raises(SettingsError, match="max_loaded_bytes with the backend savedmodel alone"):
        load({"backend": "tfserving", "max_loaded_bytes": 1})
