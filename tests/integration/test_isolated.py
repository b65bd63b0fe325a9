"""TensorFlow in a helper process: what ends it ends no server, and fails nobody but whoever asked for that."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from service.backends.savedmodel import isolated
from service.core.model_version import ModelRef, State
from service.wire import tensorflow_pb2 as tf_pb
from service.wire import tensorflow_serving_pb2 as tfs
from tests import fragile_models, savedmodels
from tests.conftest import until
from tests.fragile_models import FATAL
from tests.processes import server_process
from tests.real_server import RealServer, serving_models

SECONDS = 120
"""That a restart may take on a busy machine: TensorFlow has to be imported."""
FAILED = {"backend_failed", grpc.StatusCode.INTERNAL}
CLEANLY_REFUSED = {"backend_unavailable", "not_ready", grpc.StatusCode.UNAVAILABLE}

Ask = Callable[..., Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    fragile_models.save_fragile(folder / "fragile" / "1")
    savedmodels.save_steps(folder / "steps" / "1")
    return folder


@pytest.fixture(scope="module")
async def server(models: Path) -> AsyncIterator[RealServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolated, "_HEALTHY_SECONDS", 0.0)  # each is started at once
        timing = {"isolated_silence": 3, "poll_seconds": 0.2, "default_timeout": SECONDS}
        async with serving_models(models, isolated=True, **timing) as server:
            server.rest.timeout = SECONDS
            yield server


async def over_rest(server: RealServer, *values: float) -> Any:
    """Returns the answer of the fragile model, or the code of the error."""
    response = await server.rest.post("/v1/models/fragile:predict", json={"instances": [[value] for value in values]})
    body = response.json()
    return [row[0] for row in body["predictions"]] if response.status_code == 200 else body["code"]


async def over_grpc(server: RealServer, *values: float) -> Any:
    """Returns its answer, or the status of the error."""
    request = tfs.PredictRequest()
    request.model_spec.name = "fragile"
    tensor = request.inputs["x"]
    tensor.dtype = tf_pb.DT_FLOAT
    for size in (len(values), 1):
        tensor.tensor_shape.dim.add(size=size)
    tensor.float_val.extend(values)
    call: Any = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    try:
        answer = await call(request.SerializeToString(), timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return list(tfs.PredictResponse.FromString(answer).outputs["y"].float_val)


def process_of(server: RealServer) -> int:
    """Returns the id of the helper process."""
    backend: Any = server.runtime._parts.backend
    return int(backend._runner._process.number)


async def restarts(server: RealServer, reason: str) -> int:
    """Returns how often the process was started again."""
    text = (await server.rest.get("/metrics")).text
    [line] = [
        line for line in text.splitlines() if line.startswith(f'tensorgate_backend_restarts_total{{reason="{reason}"')
    ]
    return int(float(line.rpartition(" ")[2]))


async def back(server: RealServer) -> None:
    """Waits until all models can answer."""
    catalog = server.runtime.catalog
    await until(lambda: all(catalog.readiness().values()), seconds=SECONDS)


def error_of(server: RealServer, version: int) -> str:
    """Returns why a version of the fragile model is not served."""
    catalog = server.runtime.catalog
    return catalog.find(ModelRef("fragile", version)).error if catalog.has("fragile", version) else ""


async def test_a_run_that_ends_the_process_fails_and_all_others_are_answered(server: RealServer) -> None:
    await back(server)
    before, process = await restarts(server, "ended"), process_of(server)
    version = server.runtime.catalog.resolve(ModelRef("fragile"))
    # The first one keeps the model busy, and the next ones are merged while it does.
    first, second, fatal, *others = await asyncio.gather(
        over_grpc(server, 1.0),
        over_rest(server, 2.0),
        over_rest(server, 3.0, FATAL),
        over_grpc(server, 4.0, 5.0),
        over_grpc(server, 6.0),
    )
    assert first == [2.0]
    assert fatal in FAILED
    for outcome, expected in ((second, [4.0]), *zip(others, ([8.0, 10.0], [12.0]), strict=True)):
        assert outcome == expected or outcome in CLEANLY_REFUSED
    await back(server)
    assert await over_rest(server, 7.0) == [14.0]
    assert await restarts(server, "ended") == before + 2  # the run, and what was run again
    assert process_of(server) != process
    assert server.runtime.catalog.resolve(ModelRef("fragile")).handle is version.handle  # nothing was tried out anew


async def test_under_load_everybody_is_answered_or_refused_cleanly(server: RealServer) -> None:
    await back(server)
    before, seen, ready = await restarts(server, "ended"), set[State](), set[bool]()
    stopped = asyncio.Event()

    async def go_on(ask: Ask, value: float) -> list[Any]:
        wrong = []
        while not stopped.is_set():
            outcome = await ask(server, value)
            if outcome != [2 * value] and outcome not in CLEANLY_REFUSED:
                wrong.append(outcome)
            await asyncio.sleep(0.02)
        return wrong

    async def watch() -> None:
        while not stopped.is_set():
            seen.update(entry.state for entry in server.runtime.catalog.versions("fragile"))
            ready.add((await server.rest.get("/readyz")).status_code == 200)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    going = [asyncio.create_task(go_on((over_rest, over_grpc)[index % 2], index)) for index in range(8)]
    assert await over_grpc(server, FATAL) in FAILED
    await back(server)
    stopped.set()
    await watching
    assert await asyncio.gather(*going) == [[]] * 8
    assert seen >= {State.AVAILABLE, State.LOADING}
    assert ready == {True, False}
    assert await restarts(server, "ended") >= before + 2


async def test_a_process_that_hangs_is_ended_and_what_it_had_is_run_again(server: RealServer) -> None:
    await back(server)
    before = await restarts(server, "silent")
    os.kill(process_of(server), signal.SIGSTOP)
    answers = await asyncio.gather(over_rest(server, 1.0), over_grpc(server, 2.0))
    assert list(answers) == [[2.0], [4.0]]
    assert await restarts(server, "silent") == before + 1


async def test_a_version_that_ends_the_process_as_it_loads_is_not_served_until_it_changes(
    server: RealServer, models: Path
) -> None:
    await back(server)
    before = await restarts(server, "ended")
    catalog = server.runtime.catalog
    fragile_models.save_fatal_to_load(models / ".new")
    newest = (models / ".new").rename(models / "fragile" / "2")
    try:
        await until(lambda: "ended while it was loaded" in error_of(server, 2), seconds=2 * SECONDS)
        async with asyncio.timeout(SECONDS):
            # The process may have ended just now, for the second time.
            while await over_grpc(server, 1.0) != [2.0]:  # noqa: ASYNC110  # what is waited for is no event
                await asyncio.sleep(0.1)
        assert catalog.resolve(ModelRef("fragile")).version == 1
        await asyncio.sleep(1)  # it is looked for changes meanwhile, and found to be as it was
        assert await restarts(server, "ended") == before + 2
        (newest / "assets.extra" / "tf_serving_warmup_requests").unlink()
        await until(lambda: catalog.resolve(ModelRef("fragile")).version == 2, seconds=SECONDS)
        assert await over_rest(server, 1.0) == [2.0]
    finally:
        shutil.rmtree(newest)
        await until(lambda: not catalog.has("fragile", 2), seconds=SECONDS)


async def test_models_are_unloaded_and_loaded_as_in_the_server_itself(server: RealServer) -> None:
    await back(server)
    assert (await server.rest.post("/v2/repository/models/fragile/unload")).status_code == 200
    assert await over_rest(server, 1.0) == "model_not_found"
    assert (await server.rest.post("/v2/repository/models/fragile/load")).status_code == 200
    assert await over_rest(server, 1.0) == [2.0]
    served = {model["name"]: model for model in (await server.rest.get("/api/v1/models")).json()["models"]}
    assert served["steps"]["versions"][0]["kind"] == "forecaster"


def children_of(process: int) -> set[int]:
    """Returns the ids of the processes that a process has started, those of TensorFlow alone."""
    return {
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal()
        and f"PPid:\t{process}\n" in _read(folder / "status")
        and "savedmodel.helper" in _read(folder / "cmdline")
    }


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


async def gone(process: int) -> None:
    """Waits until nothing is left of a process."""
    await until(lambda: not Path(f"/proc/{process}").exists(), seconds=30)


async def test_a_stop_ends_the_process_last_and_its_lines_are_entries_of_the_log(models: Path) -> None:
    options = ("--models", str(models), "--isolated", "true", "--default-timeout", str(SECONDS), "--log-level", "debug")
    with server_process(*options) as server:
        server.announcement()
        [first] = children_of(server.process.pid)
        assert "libtensorflow" not in _read(Path(f"/proc/{server.process.pid}/maps"))
        async with httpx.AsyncClient(base_url=server.rest, timeout=SECONDS) as rest:
            body = {"instances": [[1.0], [FATAL]]}
            response = await rest.post("/v1/models/fragile:predict", json=body)
            assert (response.status_code, response.json()["code"]) == (500, "backend_failed")
            async with asyncio.timeout(SECONDS):
                while (  # noqa: ASYNC110  # it is another process
                    not children_of(server.process.pid) or (await rest.get("/readyz")).status_code != 200
                ):
                    await asyncio.sleep(0.1)
        await gone(first)
        [last] = children_of(server.process.pid)
        assert server.stop() == 0
        await gone(last)
        native = server.entries("native")
        assert any("Check failed" in entry["message"] and entry["level"] == "critical" for entry in native)
        assert native[-1]["level"] != "critical"  # nor is all that the next process says
        ends = [entry for entry in server.entries("service.backends.savedmodel.isolated") if entry["level"] == "error"]
        assert len(ends) == 2
        assert all("has ended (SIGABRT)" in entry["message"] for entry in ends)


async def test_a_server_that_is_killed_leaves_no_process_behind(models: Path) -> None:
    with server_process("--models", str(models), "--isolated", "true") as server:
        await until(lambda: bool(children_of(server.process.pid)))
        [process] = children_of(server.process.pid)
        server.process.kill()
        await gone(process)
