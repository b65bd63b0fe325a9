"""The backend that runs SavedModels in this process, with real TensorFlow and the servers in front of it."""

import asyncio
import io
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from grpc import aio
from PIL import Image

from service.app.lifecycle import Server
from service.app.settings import load
from service.backends.savedmodel import served_versions
from service.core.deadline import Deadline
from service.core.load_progress import LoadProgress
from service.core.model_version import ModelRef, State
from service.errors import ErrorKind, GatewayError
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests import savedmodels, upstream_models
from tests.clients import classify_request, problem_outcome


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two good models, and much that is none or is broken."""
    folder = tmp_path_factory.mktemp("models")
    savedmodels.save_shades(folder / "shades" / "1")
    newest = savedmodels.save_shades(folder / "shades" / "0012")
    savedmodels.write_warmup(
        newest,
        savedmodels.predict_log("serving_default", images=savedmodels.black(2)),
        savedmodels.predict_log("", images=savedmodels.black()),
    )
    savedmodels.save_steps(folder / "steps" / "3")
    (folder / "steps" / "latest").mkdir()
    (folder / "steps" / ".4.partial").mkdir()
    (folder / "steps" / "9").mkdir()  # no model in it: still being copied by some other tool
    (folder / ".cache" / "1").mkdir(parents=True)
    (folder / "notes.txt").write_text("")
    return folder


@asynccontextmanager
async def running(models: Path) -> AsyncIterator[Server]:
    settings = load({"models": models, "rest_port": 0, "grpc_port": 0})
    async with Server(settings) as runtime:
        async with asyncio.timeout(60):
            while not runtime.catalog.names() or any(  # noqa: ASYNC110  # what is waited for is no event
                version.state not in {State.AVAILABLE, State.END}
                for name in runtime.catalog.names()
                for version in runtime.catalog.versions(name)
            ):
                await asyncio.sleep(0.02)
        yield runtime


@pytest.fixture(scope="module")
async def runtime(models: Path) -> AsyncIterator[Server]:
    async with running(models) as runtime:
        yield runtime


@pytest.fixture(scope="module")
async def rest(runtime: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
async def stub(runtime: Server) -> AsyncIterator[Any]:
    async with aio.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel:
        yield TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]


def encoded(file_format: str, shade: int, size: tuple[int, int] = (4, 4)) -> bytes:
    file = io.BytesIO()
    Image.new("L", size, shade).save(file, file_format)
    return file.getvalue()


async def test_it_finds_the_newest_version_of_each_model_and_nothing_else(runtime: Server) -> None:
    found = {name: [v.version for v in runtime.catalog.versions(name)] for name in runtime.catalog.names()}
    assert found == {"shades": [12], "steps": [3]}
    assert runtime.catalog.ready()


async def test_signatures_are_read_from_the_model(runtime: Server) -> None:
    signatures = runtime.catalog.resolve(ModelRef("shades")).signatures
    assert sorted(signatures) == ["classify_bytes", "serving_default"]
    pixels = signatures["serving_default"]
    assert (pixels.method_name, str(pixels.inputs["images"])) == ("tensorflow/serving/predict", "float32 [?, 4, 4, 1]")
    assert str(pixels.outputs["classes"]).startswith("string")


async def test_files_and_pixels_score_the_same_over_both_transports(rest: httpx.AsyncClient, stub: Any) -> None:
    pixels = [[[51]] * 4] * 4
    as_pixels = (await rest.post("/api/v1/models/shades/classify", json={"images": [{"pixels": pixels}]})).json()
    for file_format in ("PNG", "JPEG"):
        answer = await stub.Classify(classify_request("shades", images=[{"encoded": encoded(file_format, 51)}]))
        [result] = answer.results
        scores = [(scored.label, scored.score) for scored in result.classes]
        assert scores == [(scored["label"], scored["score"]) for scored in as_pixels["results"][0]["classes"]]
    assert scores[0] == ("dark", pytest.approx(0.8))


async def test_series_are_forecast(rest: httpx.AsyncClient) -> None:
    response = await rest.post("/api/v1/models/steps/forecast", json={"series": [[0] * 5 + [9]], "quantiles": [0.9]})
    [forecast] = response.json()["forecasts"]
    assert forecast == {"values": [10, 11, 12], "quantiles": [{"level": 0.9, "values": [20, 21, 22]}]}


async def test_a_damaged_image_is_located_and_its_error_shows_no_graph(rest: httpx.AsyncClient, stub: Any) -> None:
    broken = savedmodels.png_with_damaged_pixels()
    images = [encoded("PNG", 5), encoded("PNG", 5), broken, encoded("PNG", 5)]
    request = pb.ClassifyRequest(model="shades", images=[pb.Image(encoded=image) for image in images])
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.Classify(request)
    text = caught.value.details() or ""
    expected = "images[2].encoded: expected an image that the model can decode, got a damaged one: Invalid PNG data"
    assert text.startswith(expected)
    assert "{{" not in text
    response = await rest.post("/api/v1/models/shades/classify", content=broken, headers={"content-type": "image/jpeg"})
    assert problem_outcome(response).where == ("images[0].encoded",)


async def test_a_tensor_of_the_wrong_rank_never_reaches_tensorflow(rest: httpx.AsyncClient) -> None:
    for pixels in ([0] * 16, [[[[0]] * 4] * 4], [[0] * 4] * 3):
        response = await rest.post("/api/v1/models/shades/classify", json={"images": [{"pixels": pixels}]})
        assert response.status_code == 422
    assert (await rest.get("/readyz")).status_code == 200


async def test_many_at_once_each_get_their_own_answer(stub: Any) -> None:
    async def ask(last: int) -> bool:
        request = pb.ForecastRequest(model="steps", series=[pb.Series(values=[0] * 5 + [last])], horizon=1)
        answer = await stub.Forecast(request)
        return bool(answer.forecasts[0].values[0] == last + 1)

    assert all(await asyncio.gather(*(ask(last) for last in range(250))))


async def test_errors_of_tensorflow_get_a_meaning(runtime: Server) -> None:
    version = runtime.catalog.resolve(ModelRef("shades"))
    signature = version.signatures["classify_bytes"]
    inputs = {"image_bytes": np.array([b"no image"], object)}
    with pytest.raises(GatewayError) as caught:
        await runtime._parts.backend.run(version, signature, inputs, Deadline.after(9))
    assert caught.value.kind is ErrorKind.INVALID_INPUT


async def only(folder: Path) -> dict[str, str]:
    """Serves a folder and returns the errors of its versions."""
    async with running(folder) as runtime:
        assert runtime.catalog.ready() is any(runtime.catalog.readiness().values())
        return {name: runtime.catalog.versions(name)[0].error for name in runtime.catalog.names()}


async def test_versions_that_cannot_be_loaded_are_reported(tmp_path: Path) -> None:
    (tmp_path / "empty" / "1").mkdir(parents=True)
    (tmp_path / "empty" / "1" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "rubbish" / "1").mkdir(parents=True)
    (tmp_path / "rubbish" / "1" / "saved_model.pb").write_bytes(b"\xffrubbish")
    half = savedmodels.save_shades(tmp_path / "half" / "1")
    for file in (half / "variables").iterdir():
        file.unlink()
    savedmodels.save_steps(tmp_path / "good" / "1")
    errors = await only(tmp_path)
    assert errors["good"] == ""
    assert errors["empty"]
    assert errors["rubbish"]
    assert errors["half"]


async def test_a_warm_up_may_send_what_clients_may(tmp_path: Path) -> None:
    version = upstream_models.save_half_plus_two(tmp_path / "half" / "1")
    savedmodels.write_warmup(version, savedmodels.predict_log("serving_default", x=[1.0, 2.0, 5.0]))
    assert await only(tmp_path) == {"half": ""}


async def test_a_warm_up_that_fails_keeps_the_version_from_being_served(tmp_path: Path) -> None:
    wrong = savedmodels.save_shades(tmp_path / "wrong" / "1")
    savedmodels.write_warmup(
        wrong,
        savedmodels.predict_log("serving_default", images=savedmodels.black()),
        savedmodels.predict_log("serving_default", images=savedmodels.black()[0]),
    )
    unknown = savedmodels.save_shades(tmp_path / "unknown" / "1")
    savedmodels.write_warmup(unknown, savedmodels.predict_log("nope", images=savedmodels.black()))
    torn = savedmodels.save_shades(tmp_path / "torn" / "1")
    savedmodels.write_warmup(torn)
    (torn / "assets.extra" / "tf_serving_warmup_requests").write_bytes(savedmodels.truncated_tfrecord())
    errors = await only(tmp_path)
    assert "warm-up request 2 of tf_serving_warmup_requests: inputs.images: expected shape" in errors["wrong"]
    assert "warm-up request 1" in errors["unknown"]
    assert "warm-up request 1" in errors["torn"]


async def test_odd_folders_do_not_keep_the_others_from_being_served(tmp_path: Path) -> None:
    savedmodels.save_steps(tmp_path / "good" / "1")
    odd = os.fsencode(tmp_path) + b"/caf\xe9/1"
    os.makedirs(odd)  # noqa: PTH103  # a path that is not UTF-8
    os.mknod(odd + b"/saved_model.pb")
    (tmp_path / "loop").symlink_to("loop")
    savedmodels.save_mute(tmp_path / "mute" / "1")
    async with running(tmp_path) as runtime:
        base = f"http://127.0.0.1:{runtime.rest_port}"
        async with httpx.AsyncClient(base_url=base, timeout=30) as rest:
            assert (await rest.get("/readyz")).status_code == 200
            assert (await rest.get("/metrics")).status_code == 200
            models = (await rest.get("/api/v1/models")).json()["models"]
            assert [model["name"] for model in models if model["versions"]] == ["good", "mute"]
            problems = {model["name"]: model["problem"] for model in models if not model["versions"]}
            assert problems == (await rest.get("/readyz")).json()["unserved"]
            assert problems["'caf\\udce9'"].endswith("and is UTF-8")
            response = await rest.post("/api/v1/models/mute/forecast", json={"series": [[1]]})
            assert problem_outcome(response).code == "wrong_model_kind"


async def test_a_reason_names_no_path_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "rubbish" / "1").mkdir(parents=True)
    (tmp_path / "rubbish" / "1" / "saved_model.pb").write_bytes(b"\xffrubbish")
    errors = await only(tmp_path)
    assert str(tmp_path) not in errors["rubbish"]


@pytest.mark.parametrize("exists", [True, False])
async def test_a_folder_without_models_is_never_ready(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path if exists else tmp_path / "nope"
    settings = load({"models": folder, "rest_port": 0, "grpc_port": 0})
    async with (
        Server(settings) as runtime,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}") as rest,
    ):
        await asyncio.sleep(0.2)
        assert (await rest.get("/readyz")).status_code == 503
        assert (await rest.get("/livez")).status_code == 200
        assert (await rest.get("/api/v1/models")).json() == {"models": []}


async def test_readyz_says_how_far_a_loading_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = savedmodels.save_shades(tmp_path / "shades" / "1")
    savedmodels.write_warmup(folder, *[savedmodels.predict_log("", images=savedmodels.black())] * 3)
    (folder / "assets.extra" / "tensorgate.json").write_text('{"files": {}}')
    inside, go_on = threading.Event(), threading.Event()
    stages: list[str] = []

    class Watched(LoadProgress):
        def enter(self, stage: str, unit: str = "", *, done: int | None = None, total: int | None = None) -> None:
            stages.append(stage)
            super().enter(stage, unit, done=done, total=total)

        def advance(self, count: int = 1) -> None:
            super().advance(count)
            if (self.stage, self.done) == ("warming up", 2):
                inside.set()
                go_on.wait(30)

    monkeypatch.setattr(served_versions, "LoadProgress", Watched)
    settings = load({"models": tmp_path, "rest_port": 0, "grpc_port": 0})
    async with (
        Server(settings) as runtime,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=30) as rest,
    ):
        assert await asyncio.to_thread(inside.wait, 60)
        response = await rest.get("/readyz")
        go_on.set()
        version = response.json()["models"]["shades"]["versions"]["1"]
        told = version["progress"]
        assert (response.status_code, version["state"]) == (503, "LOADING")
        assert (told["stage"], told["done"], told["total"], told["unit"]) == ("warming up", 2, None, "requests")
        await runtime.ready()
        version = (await rest.get("/readyz")).json()["models"]["shades"]["versions"]["1"]
        assert version == {"state": "AVAILABLE", "error": ""}
    assert stages == [
        "importing TensorFlow",
        "comparing its files with the manifest",
        "reading its graph and variables",
        "warming up",
        "trying what it is for",
        "trying whether rows depend on each other",
    ]
