"""What changes about versions that may leave memory: files, versions, labels, what operators do, and the process."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc import aio
from tensorflow_serving.apis import model_service_pb2_grpc

from service.core.model_version import State
from service.wire import open_inference_pb2 as oip
from tests import savedmodels
from tests.conftest import until
from tests.memory import AVAILABLE, NAMES, STANDBY, answered, bounded, entry, forecast, size_of, states
from tests.upstream_stubs import reload_request


async def test_a_version_that_is_too_large_by_itself_is_refused_and_an_older_one_serves(
    four_models: Path, tmp_path: Path
) -> None:
    shutil.copytree(four_models / "a" / "1", four_models / "a" / "2")
    (four_models / "a" / "2" / "assets" / "large").write_bytes(bytes(10 * size_of(four_models / "a" / "1")))
    async with bounded(four_models, room=2.5) as server:
        large, small = server.runtime.catalog.versions("a")
        assert (large.state, small.told_state) == (State.END, AVAILABLE)
        assert (
            f"all versions together may take {int(2.5 * size_of(four_models / 'a' / '1'))} (max_loaded_bytes)"
            in large.error
        )
        await answered(server, "a")


async def test_what_was_found_out_of_a_version_is_kept_while_its_files_are_as_they_were(
    four_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    savedmodels.write_warmup(four_models / "a" / "1", savedmodels.predict_log("", history=np.zeros((1, 6), np.float32)))
    async with bounded(four_models, room=2.5) as server:
        before = entry(server, "a")
        await answered(server, "b", "c")
        assert entry(server, "a").told_state is STANDBY
        await answered(server, "a")
        after = entry(server, "a")
        assert (after.serial, after.unbatched, after.task) == (before.serial, before.unbatched, before.task)
        await answered(server, "b", "c")
        # In its place there is another model now, which takes something else.
        shutil.rmtree(four_models / "a" / "1")
        savedmodels.save_shades(four_models / "a" / "1")
        black = {"images": [{"pixels": [[0] * 4] * 4}]}
        answer = await server.rest.post("/api/v1/models/a/classify", json=black)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["classes"][0]["label"] == "dark"
        assert entry(server, "a").serial != before.serial


async def test_what_has_changed_and_finds_no_room_is_found_out_once_there_is(four_models: Path) -> None:
    async with bounded(four_models, room=2.5, max_load_wait=5) as server:
        await answered(server, "b", "c")
        shutil.rmtree(four_models / "a" / "1")
        savedmodels.save_shades(four_models / "a" / "1")
        used = [residence for name in "bc" if (residence := entry(server, name).residence) is not None]
        for residence in used:
            residence.enter()
        assert (await forecast(server, "a")).status_code == 503
        for residence in used:
            residence.leave()
        black = {"images": [{"pixels": [[0] * 4] * 4}]}
        answer = await server.rest.post("/api/v1/models/a/classify", json=black)
        assert answer.status_code == 200, answer.text
        assert (await server.rest.get("/readyz")).json()["models"]["a"]["versions"]["1"].keys() == {"state", "error"}


async def test_a_model_gets_another_folder_only_once_what_is_there_was_loaded(four_models: Path) -> None:
    async with bounded(four_models, room=1.5, allow_model_control=True) as server:
        await answered(server, "b")
        broken = four_models / "elsewhere" / "1"
        broken.mkdir(parents=True)
        (broken / "saved_model.pb").write_bytes(b"nonsense")
        folders = {"a": broken.parent, "b": four_models / "b"}
        models = "".join(f'config {{ name: "{name}" base_path: "{folder}" }}' for name, folder in folders.items())
        stub: Any = model_service_pb2_grpc.ModelServiceStub(server.channel)
        request = reload_request(f"model_config_list {{ {models} }}")
        with pytest.raises(aio.AioRpcError, match="it is not a message"):
            await stub.HandleReloadConfigRequest(request)
        await answered(server, "a", "b")


async def test_one_that_cannot_be_loaded_again_fails_alone(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:
        await answered(server, "b")
        (four_models / "a" / "1" / "saved_model.pb").write_bytes(b"nonsense")
        shutil.rmtree(four_models / "c" / "1")
        for name, reason in (("a", "it is not a message"), ("c", "there is no model in its folder any more")):
            refused = await forecast(server, name)
            assert (refused.status_code, refused.json()["code"]) == (503, "not_ready"), refused.text
            assert entry(server, name).state is State.END
            assert reason in refused.json()["detail"] or reason in entry(server, name).error
        await answered(server, "b", "d")


async def test_a_new_version_is_loaded_before_it_replaces_one_on_standby(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:
        await answered(server, "b")
        shutil.copytree(four_models / "a" / "1", four_models / "a" / "2")
        (four_models / "a" / "2" / "saved_model.pb").write_bytes(b"nonsense")
        await server.runtime.look()
        assert [version.state for version in server.runtime.catalog.versions("a")] == [State.END, AVAILABLE]
        await answered(server, "a", "b")
        shutil.copytree(four_models / "a" / "1", four_models / "a" / "3")
        await server.runtime.look()
        assert entry(server, "a").version == 3
        assert entry(server, "a").told_state is AVAILABLE  # it has been loaded, and so others have left
        shutil.copytree(four_models / "d" / "1", four_models / "e" / "1")
        await server.runtime.look()
        assert entry(server, "e").told_state is STANDBY  # it replaces none
        await answered(server, "e")


async def test_labels_and_operators_have_versions_on_standby_as_others(four_models: Path) -> None:
    shutil.copytree(four_models / "a" / "1", four_models / "a" / "2")
    async with bounded(four_models, room=1.5, version_policy="all") as server:
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


async def test_what_leaves_is_gone_from_the_helper_process_too(four_models: Path) -> None:
    async with bounded(four_models, room=1.5, isolated=True) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        await answered(server, "b", "c")
        assert len(runner._models) == 1
        runner._process.kill()
        await until(lambda: entry(server, "c").state is State.LOADING)
        await until(lambda: states(server) == [STANDBY, STANDBY, AVAILABLE, STANDBY], seconds=120)
        await answered(server, "c", "a")


async def test_a_stream_goes_on_while_its_models_come_and_go(four_models: Path) -> None:
    async with bounded(four_models, room=1.5) as server:
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
