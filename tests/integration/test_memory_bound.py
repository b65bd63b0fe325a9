"""Versions that leave memory for others and come back, with real TensorFlow, by every protocol."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.app.settings import SettingsError, load
from service.backends.savedmodel.folder import version_in
from service.core.model_version import ModelRef, ModelVersion, State
from service.wire import open_inference_pb2 as oip
from service.wire import tensorflow_serving_pb2 as tfs
from tests import savedmodels, telling_models
from tests.conftest import until
from tests.real_server import RealServer, serving_models
from tests.version_clients import CLIENTS, Client

NAMES = ("a", "b", "c", "d")
SERIES = {"series": [[0, 0, 0, 0, 0, 0]], "horizon": 1}
STANDBY, AVAILABLE = State.STANDBY, State.AVAILABLE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version to copy: a forecaster."""
    return savedmodels.save_steps(tmp_path_factory.mktemp("saved") / "1")


@pytest.fixture
def models(tmp_path: Path, model: Path) -> Path:
    """A folder with four models that are alike."""
    for name in NAMES:
        shutil.copytree(model, tmp_path / "models" / name / "1")
    return tmp_path / "models"


def size_of(*folders: Path) -> int:
    """Returns the bytes that versions are taken to need."""
    found = [version_in(folder) for folder in folders]
    return sum(each.memory_bytes for each in found if each is not None)


@asynccontextmanager
async def bounded(models: Path, *, room: float, **settings: Any) -> AsyncIterator[RealServer]:
    """Serves the models with room in memory for so many of them."""
    size = int(room * size_of(models / "a" / "1"))
    async with serving_models(models, max_loaded_bytes=size, **{"poll_seconds": 0} | settings) as server:
        yield server


def entry(server: RealServer, name: str) -> ModelVersion:
    return server.runtime.catalog.find(ModelRef(name))


def states(server: RealServer, names: Iterable[str] = NAMES) -> list[State]:
    return [entry(server, name).told_state for name in names]


async def forecast(server: RealServer, name: str, **fields: Any) -> httpx.Response:
    return await server.rest.post(f"/api/v1/models/{name}/forecast", json=SERIES | fields)


async def answered(server: RealServer, *names: str) -> None:
    """Asks models one after the other, and looks at their answers."""
    for name in names:
        answer = await forecast(server, name)
        assert answer.status_code == 200, answer.text
        assert answer.json()["forecasts"][0]["values"] == [1.0]


async def samples(server: RealServer, name: str) -> dict[str, float]:
    """Returns the samples of a metric by the name of the model, where they have one."""
    lines = (await server.rest.get("/metrics")).text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.partition("{")[0].partition(" ")[0] == name)
    return {sample.partition('model_name="')[2].partition('"')[0]: float(value) for sample, _, value in found}


async def test_those_that_were_not_asked_for_the_longest_leave(models: Path) -> None:
    async with bounded(models, room=2.5) as server:
        assert states(server) == [AVAILABLE, AVAILABLE, STANDBY, STANDBY]
        await answered(server, "b", "a", "c")
        assert states(server) == [AVAILABLE, STANDBY, AVAILABLE, STANDBY]
        await answered(server, "a", "d")
        assert states(server) == [AVAILABLE, STANDBY, STANDBY, AVAILABLE]
        assert await samples(server, "tensorgate_model_evictions_total") == {"b": 1, "c": 1}
        loads = await samples(server, "tensorgate_model_load_duration_seconds_count")
        assert loads == {"a": 1, "b": 1, "c": 1, "d": 1}
        [taken] = (await samples(server, "tensorgate_loaded_bytes")).values()
        assert taken == 2 * size_of(models / "a" / "1")


async def test_what_is_not_in_memory_is_told_as_such_and_ready(models: Path) -> None:
    async with bounded(models, room=1.5) as server:
        await answered(server, "b")  # which was never loaded; a was
        ready = await server.rest.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["models"]["a"] == {"ready": True, "versions": {"1": {"state": "STANDBY", "error": ""}}}
        info = (await server.rest.get("/api/v1/models/a")).json()["versions"][0]
        assert (info["state"], info["kind"], info["error"]) == ("STANDBY", "forecaster", "")
        never = (await server.rest.get("/api/v1/models/c")).json()["versions"][0]
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


async def test_many_callers_share_one_load_and_are_told_of_the_wait(models: Path) -> None:
    async with bounded(models, room=1.5) as server:
        answers = await asyncio.gather(*(forecast(server, "b") for _ in range(40)))
        assert [answer.status_code for answer in answers] == [200] * 40
        assert (await samples(server, "tensorgate_model_load_duration_seconds_count"))["b"] == 1
        assert all(answer.headers["server-timing"].startswith("load;dur=") for answer in answers)
        assert "server-timing" not in (await forecast(server, "b")).headers
        text = (await server.rest.get("/metrics")).text
        assert 'tensorgate_phase_duration_seconds_count{model_name="b",model_version="1",phase="load"} 40' in text


@pytest.mark.parametrize("isolated", [False, True], ids=["in-the-server", "in-a-helper-process"])
async def test_every_protocol_brings_a_version_back(tmp_path: Path, isolated: bool) -> None:
    telling_models.save(tmp_path / "saved", 3)
    for name in telling_models.NAMES:
        shutil.copytree(tmp_path / "saved" / name, tmp_path / "models" / name / "1")
    clients = [(model, client) for model, several in CLIENTS.items() for client in several]
    size = max(size_of(tmp_path / "saved" / name) for name in telling_models.NAMES)
    async with serving_models(tmp_path / "models", max_loaded_bytes=size, isolated=isolated) as server:

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
            for model, client in clients * 3:
                asking.create_task(ask(model, client))


async def test_a_version_in_use_stays_and_others_wait_for_it_within_bounds(models: Path) -> None:
    async with bounded(models, room=1.5, max_load_wait=0.5) as server:
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

        waiting = asyncio.create_task(forecast(server, "b"))
        await until(lambda: entry(server, "a").told_state is STANDBY)
        assert used.handle.model is not None  # type: ignore[attr-defined]
        used.residence.leave()
        assert (await waiting).status_code == 200
        assert states(server)[:2] == [STANDBY, AVAILABLE]


async def test_whoever_cannot_wait_is_told_that_it_is_being_loaded_and_it_goes_on(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bounded(models, room=1.5, max_load_wait=0.5) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        loaded, may_load = runner.load, threading.Event()

        def slow(*args: Any, **options: Any) -> Any:
            may_load.wait(60)
            return loaded(*args, **options)

        monkeypatch.setattr(runner, "load", slow)
        refused = await forecast(server, "b")
        assert (refused.status_code, refused.json()["code"]) == (503, "not_ready")
        assert "version 1 of model 'b' is being loaded, as it was not in memory" in refused.json()["detail"]
        hasty = await server.rest.post(
            "/api/v1/models/b/forecast", json=SERIES, headers={"x-request-timeout": "0.2"}
        )  # the client's own bound is the nearer one
        assert (hasty.status_code, hasty.json()["code"]) == (503, "not_ready")
        assert (await server.rest.get("/readyz")).json()["models"]["b"]["versions"]["1"]["progress"]["stage"]
        may_load.set()
        await until(lambda: entry(server, "b").told_state is AVAILABLE)
        await answered(server, "b")
        assert (await samples(server, "tensorgate_model_load_duration_seconds_count"))["b"] == 1


async def test_more_may_not_wait_than_in_a_queue(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bounded(models, room=1.5, max_queue_size=3) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        loaded, may_load = runner.load, threading.Event()
        monkeypatch.setattr(runner, "load", lambda *args, **options: (may_load.wait(60), loaded(*args, **options))[1])
        asking = [asyncio.create_task(forecast(server, "b")) for _ in range(8)]
        await until(lambda: sum(task.done() for task in asking) == 5)
        may_load.set()
        answers = await asyncio.gather(*asking)
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5


async def test_two_models_that_are_asked_all_the_time_take_turns(models: Path) -> None:
    async with bounded(models, room=1.5) as server:

        async def ask(name: str) -> None:
            for _ in range(5):
                await answered(server, name)

        async with asyncio.timeout(60), asyncio.TaskGroup() as asking:
            for name in ("a", "b") * 8:
                asking.create_task(ask(name))


async def test_a_version_that_is_too_large_by_itself_is_refused_and_an_older_one_serves(
    models: Path, tmp_path: Path
) -> None:
    shutil.copytree(models / "a" / "1", models / "a" / "2")
    (models / "a" / "2" / "assets" / "large").write_bytes(bytes(10 * size_of(models / "a" / "1")))
    async with bounded(models, room=2.5) as server:
        large, small = server.runtime.catalog.versions("a")
        assert (large.state, small.told_state) == (State.END, AVAILABLE)
        assert (
            f"all versions together may take {int(2.5 * size_of(models / 'a' / '1'))} (max_loaded_bytes)" in large.error
        )
        await answered(server, "a")


async def test_what_was_found_out_of_a_version_is_kept_while_its_files_are_as_they_were(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    savedmodels.write_warmup(models / "a" / "1", savedmodels.predict_log("", history=np.zeros((1, 6), np.float32)))
    async with bounded(models, room=2.5) as server:
        before = entry(server, "a")
        await answered(server, "b", "c")
        assert entry(server, "a").told_state is STANDBY
        await answered(server, "a")
        after = entry(server, "a")
        assert (after.serial, after.unbatched, after.task) == (before.serial, before.unbatched, before.task)
        await answered(server, "b", "c")
        # In its place there is another model now, which takes something else.
        shutil.rmtree(models / "a" / "1")
        savedmodels.save_shades(models / "a" / "1")
        black = {"images": [{"pixels": [[0] * 4] * 4}]}
        answer = await server.rest.post("/api/v1/models/a/classify", json=black)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["classes"][0]["label"] == "dark"
        assert entry(server, "a").serial != before.serial


async def test_one_that_cannot_be_loaded_again_fails_alone(models: Path) -> None:
    async with bounded(models, room=1.5) as server:
        await answered(server, "b")
        (models / "a" / "1" / "saved_model.pb").write_bytes(b"nonsense")
        shutil.rmtree(models / "c" / "1")
        for name, reason in (("a", "it is not a message"), ("c", "there is no model in its folder any more")):
            refused = await forecast(server, name)
            assert (refused.status_code, refused.json()["code"]) == (503, "not_ready"), refused.text
            assert entry(server, name).state is State.END
            assert reason in refused.json()["detail"] or reason in entry(server, name).error
        await answered(server, "b", "d")


async def test_a_new_version_is_loaded_before_it_replaces_one_on_standby(models: Path) -> None:
    async with bounded(models, room=1.5) as server:
        await answered(server, "b")
        shutil.copytree(models / "a" / "1", models / "a" / "2")
        (models / "a" / "2" / "saved_model.pb").write_bytes(b"nonsense")
        await server.runtime.look()
        assert [version.state for version in server.runtime.catalog.versions("a")] == [State.END, AVAILABLE]
        await answered(server, "a", "b")
        shutil.copytree(models / "a" / "1", models / "a" / "3")
        await server.runtime.look()
        assert entry(server, "a").version == 3
        assert entry(server, "a").told_state is AVAILABLE  # it has been loaded, and so others have left
        shutil.copytree(models / "d" / "1", models / "e" / "1")
        await server.runtime.look()
        assert entry(server, "e").told_state is STANDBY  # it replaces none
        await answered(server, "e")


async def test_labels_and_operators_have_versions_on_standby_as_others(models: Path) -> None:
    shutil.copytree(models / "a" / "1", models / "a" / "2")
    async with bounded(models, room=1.5, version_policy="all") as server:
        assert [v.told_state for v in server.runtime.catalog.versions("a")] == [AVAILABLE, STANDBY]
        put = await server.rest.put("/api/v1/models/a/labels/old", json={"version": 1})
        assert put.status_code == 200, put.text
        answer = await forecast(server, "a", label="old")
        assert (answer.status_code, answer.json()["version"]) == (200, 1)
        assert [v.told_state for v in server.runtime.catalog.versions("a")] == [STANDBY, AVAILABLE]
        assert (await forecast(server, "a")).json()["version"] == 2  # it is no older one that answers for it

        assert (await server.rest.post("/v2/repository/models/b/load")).status_code == 200
        assert entry(server, "b").told_state is AVAILABLE
        assert (await server.rest.post("/v2/repository/models/b/unload")).status_code == 200
        assert entry(server, "b").told_state is State.END
        assert (await forecast(server, "b")).json()["code"] == "model_not_found"


async def test_what_leaves_is_gone_from_the_helper_process_too(models: Path) -> None:
    async with bounded(models, room=1.5, isolated=True) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        await answered(server, "b", "c")
        assert len(runner._models) == 1
        runner._process.kill()
        await until(lambda: entry(server, "c").state is State.LOADING)
        await until(lambda: states(server) == [STANDBY, STANDBY, AVAILABLE, STANDBY], seconds=120)
        await answered(server, "c", "a")


async def test_a_stream_goes_on_while_its_models_come_and_go(models: Path) -> None:
    async with bounded(models, room=1.5) as server:
        call: Any = server.channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            request_serializer=oip.ModelInferRequest.SerializeToString,
            response_deserializer=oip.ModelStreamInferResponse.FromString,
        )
        history = oip.ModelInferRequest.InferInputTensor(name="history", datatype="FP32", shape=[1, 6])
        raw = [np.zeros((1, 6), np.float32).tobytes()]
        requests = [
            oip.ModelInferRequest(model_name=name, inputs=[history], raw_input_contents=raw) for name in NAMES * 3
        ]
        answers = [answer async for answer in call(iter(requests), timeout=60)]
        assert [answer.error_message for answer in answers] == [""] * len(requests)
        assert [answer.infer_response.model_name for answer in answers] == [*NAMES * 3]


async def test_the_backend_tfserving_refuses_the_bound() -> None:
    with pytest.raises(SettingsError, match="max_loaded_bytes with the backend savedmodel alone"):
        load({"backend": "tfserving", "max_loaded_bytes": 1})
