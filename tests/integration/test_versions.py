"""Versions that come, go and fail while the server runs, with real TensorFlow."""

import asyncio
import gc
import json
import shutil
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.app.lifecycle import Server
from service.app.settings import load
from service.core.deadline import Deadline
from service.core.model_version import ModelRef, State
from tests import savedmodels
from tests.conftest import until

FORECAST = "/api/v1/models/steps/forecast"
SERIES = {"series": [[0, 0, 0, 0, 0, 0]], "horizon": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version to copy."""
    return savedmodels.save_steps(tmp_path_factory.mktemp("saved") / "1")


class Folder:
    """A models folder and a server that follows it."""

    def __init__(self, models: Path, model: Path, runtime: Server, rest: httpx.AsyncClient) -> None:
        self.models, self.model, self.runtime, self.rest = models, model, runtime, rest

    def publish(self, version: int) -> Path:
        """Puts a version there at once, as the exporter does."""
        folder = self.models / "steps" / str(version)
        partial = self.models / f".steps-{version}.partial"
        shutil.copytree(self.model, partial)
        partial.rename(folder)
        return folder

    def states(self) -> dict[int, str]:
        catalog = self.runtime.catalog
        return {v.version: v.state.value for v in catalog.versions("steps")} if "steps" in catalog.names() else {}

    async def reaches(self, **states: str) -> None:
        """Waits until the versions are in these states, and there are no others."""
        wanted = {int(version.removeprefix("v")): state for version, state in states.items()}
        try:
            await until(lambda: self.states() == wanted)
        except TimeoutError:
            assert self.states() == wanted


@asynccontextmanager
async def following(models: Path, model: Path, *versions: int, **more: Any) -> AsyncIterator[Folder]:
    (models / "steps").mkdir()
    for version in versions:
        shutil.copytree(model, models / "steps" / str(version))
    settings = load({"models": models, "rest_port": 0, "grpc_port": 0, "poll_seconds": 0.05} | more)
    async with Server(settings) as runtime:
        base = f"http://127.0.0.1:{runtime.rest_port}"
        async with httpx.AsyncClient(base_url=base, timeout=20) as rest:
            folder = Folder(models, model, runtime, rest)
            await until(lambda: bool(versions) <= runtime.catalog.ready())
            yield folder


async def test_a_new_version_replaces_the_old_one_and_no_request_fails(tmp_path: Path, model: Path) -> None:
    async with following(tmp_path, model, 1) as folder:
        answered: list[tuple[int, int]] = []
        done = asyncio.Event()

        async def ask() -> None:
            while not done.is_set():
                response = await folder.rest.post(FORECAST, json=SERIES)
                answered.append((response.status_code, response.json().get("version", 0)))

        asking = [asyncio.create_task(ask()) for _ in range(8)]
        for version in (2, 3):
            folder.publish(version)
            await folder.reaches(**{f"v{version}": "AVAILABLE"})
            count = len(answered)
            await until(lambda: len(answered) >= count + 20)  # noqa: B023  # waited for at once
        done.set()
        await asyncio.gather(*asking)
        assert {status for status, _ in answered} == {200}
        assert {version for _, version in answered} == {1, 2, 3}


async def test_the_folder_is_looked_at_when_it_is_asked_for(tmp_path: Path, model: Path) -> None:
    async with following(tmp_path, model, 1, poll_seconds=0) as folder:
        folder.publish(2)
        await folder.runtime.look()
        assert folder.states() == {2: "AVAILABLE"}


async def test_what_is_dropped_lives_until_its_last_request_is_answered(tmp_path: Path, model: Path) -> None:
    async with following(tmp_path, model, 1) as folder:
        held = folder.runtime.catalog.resolve(ModelRef("steps"))
        loaded = weakref.ref(held.handle)
        folder.publish(2)
        await folder.reaches(v2="AVAILABLE")
        signature = held.signatures["serving_default"]
        inputs = {"history": np.zeros((1, 6), np.float32)}
        outputs = await folder.runtime._parts.backend.run(held, signature, inputs, Deadline.after(9))
        assert outputs["forecast"].tolist() == [[1, 2, 3]]
        del held
        async with asyncio.timeout(30):
            while loaded() is not None:  # where another thread is collecting, this one's does nothing
                await asyncio.to_thread(gc.collect)


@pytest.mark.parametrize(
    ("policy", "states"),
    [
        ("latest:2", {"v3": "AVAILABLE", "v2": "AVAILABLE"}),
        ("all", {"v3": "AVAILABLE", "v2": "AVAILABLE", "v1": "AVAILABLE"}),
        ("specific:1,2", {"v2": "AVAILABLE", "v1": "AVAILABLE"}),
    ],
)
async def test_the_policy_says_which_are_served(
    tmp_path: Path, model: Path, policy: str, states: dict[str, str]
) -> None:
    async with following(tmp_path, model, 1, 2, 3, version_policy=policy) as folder:
        await folder.reaches(**states)
        for version in range(1, 4):
            response = await folder.rest.post(FORECAST, json=SERIES, params={"version": version})
            assert response.status_code == (200 if f"v{version}" in states else 404)


async def test_a_version_that_fails_replaces_none_and_is_tried_again_once_it_changes(
    tmp_path: Path, model: Path
) -> None:
    async with following(tmp_path, model, 1) as folder:
        broken = folder.publish(2)
        await folder.reaches(v2="AVAILABLE")
        shutil.rmtree(broken)
        await folder.reaches(v1="AVAILABLE")
        data = model / "saved_model.pb"
        (tmp_path / "steps" / "3").mkdir()
        (tmp_path / "steps" / "3" / "saved_model.pb").write_bytes(b"rubbish")
        await folder.reaches(v3="END", v1="AVAILABLE")
        assert folder.runtime.catalog.versions("steps")[0].error
        assert (await folder.rest.post(FORECAST, json=SERIES)).json()["version"] == 1
        assert (await folder.rest.get("/readyz")).status_code == 200
        # The copy goes on: what comes now makes it whole.
        shutil.copytree(model, tmp_path / "steps" / "3", dirs_exist_ok=True)
        assert data.exists()
        await folder.reaches(v3="AVAILABLE")


async def test_a_version_that_is_not_what_was_published_is_refused(tmp_path: Path, model: Path) -> None:
    async with following(tmp_path, model, 1) as folder:
        tampered = tmp_path / ".tampered"
        shutil.copytree(model, tampered)
        (tampered / "assets.extra").mkdir()
        manifest = {"files": {"saved_model.pb": "0" * 64}}
        (tampered / "assets.extra" / "tensorgate.json").write_text(json.dumps(manifest))
        tampered.rename(tmp_path / "steps" / "2")
        await folder.reaches(v2="END", v1="AVAILABLE")
        assert folder.runtime.catalog.versions("steps")[0].error == "saved_model.pb is not the file that was published"


async def test_a_version_that_is_still_being_copied_is_left_alone(tmp_path: Path, model: Path) -> None:
    async with following(tmp_path, model, 1) as folder:
        growing = tmp_path / "steps" / "2"
        growing.mkdir()
        for size in range(1, 30):
            (growing / "saved_model.pb").write_bytes((model / "saved_model.pb").read_bytes()[: size * 50])
            await asyncio.sleep(0.02)
            assert folder.states() == {1: "AVAILABLE"}
        shutil.rmtree(growing)


async def test_models_come_and_go(tmp_path: Path, model: Path) -> None:
    async with following(tmp_path, model) as folder:
        assert (await folder.rest.get("/readyz")).status_code == 503
        folder.publish(5)
        await folder.reaches(v5="AVAILABLE")
        assert (await folder.rest.get("/readyz")).status_code == 200
        metrics = (await folder.rest.get("/metrics")).text
        assert 'tensorgate_model_state{model_name="steps",model_version="5",state="AVAILABLE"} 1.0' in metrics
        shutil.rmtree(tmp_path / "steps" / "5")
        await folder.reaches()
        assert "model_state{" not in (await folder.rest.get("/metrics")).text
        assert (await folder.rest.post(FORECAST, json=SERIES)).status_code == 404


async def test_a_folder_that_cannot_be_read_for_a_while_changes_nothing(tmp_path: Path, model: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    async with following(models, model, 1) as folder:
        models.rename(tmp_path / "away")
        await asyncio.sleep(0.3)
        assert folder.states() == {1: State.AVAILABLE}
        (tmp_path / "away").rename(models)
        folder.publish(2)
        await folder.reaches(v2="AVAILABLE")
