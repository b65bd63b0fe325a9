"""A version is published, and a label moved, while every protocol is asked without a pause: no request fails."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import model_service_pb2_grpc

from tests import zoo_models
from tests.conftest import until
from tests.questions import Question, Said
from tests.real_server import RealServer, serving_models
from tests.speakers import SPEAKERS
from tests.upstream_stubs import reload_request

ZERO = {"x": np.zeros(1, np.float32)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 to 3 of a model that adds its own version's number."""
    folder = tmp_path_factory.mktemp("saved")
    zoo_models.save_versions(folder, 1, 2, 3)
    return folder


Answered = Callable[[], Awaitable[None]]
"""Waits until everyone is answered who asks from now on."""


async def asked_throughout(
    server: RealServer, question: Question, happening: Callable[[Answered], Awaitable[None]]
) -> dict[str, list[Said]]:
    """Asks the question in every protocol, over and over, until what happens is over; returns all that came back."""
    over = asyncio.Event()
    answers: dict[str, list[Said]] = {name: [] for name in SPEAKERS}

    async def ask(name: str) -> None:
        while not over.is_set():
            answers[name].append(await SPEAKERS[name].ask(server, question))

    async def answered() -> None:
        before = {name: len(said) for name, said in answers.items()}
        # One more may have been asked before.
        await until(lambda: all(len(said) >= before[name] + 2 for name, said in answers.items()))

    asking = [asyncio.create_task(ask(name)) for name in SPEAKERS]
    try:
        await happening(answered)
    finally:
        over.set()
        await asyncio.gather(*asking)
    return answers


def versions_of(said: list[Said]) -> list[int]:
    """Returns which version gave each answer; none failed, and each answer is of the version that it names."""
    assert {answer.code for answer in said} == {"ok"}, [answer for answer in said if answer.code != "ok"][:3]
    versions = [int(answer.outputs["y"][0]) for answer in said]
    for answer, version in zip(said, versions, strict=True):
        assert answer.version in {0, version}  # TensorFlow Serving's REST answers do not name theirs
    return versions


async def test_a_version_is_published(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved / "2", tmp_path / "versions" / "2")
    async with serving_models(tmp_path, poll_seconds=0.05) as server:
        catalog = server.runtime.catalog

        async def publish(answered: Answered) -> None:
            await answered()
            shutil.copytree(saved / "3", tmp_path / "versions" / ".3.partial")
            (tmp_path / "versions" / ".3.partial").rename(tmp_path / "versions" / "3")
            await until(lambda: [entry.version for entry in catalog.versions("versions")] == [3], seconds=30)
            await answered()

        answers = await asked_throughout(server, Question("versions", ZERO), publish)
        for name, said in answers.items():
            versions = versions_of(said)
            assert versions == sorted(versions), name
            assert set(versions) == {2, 3}, name
        counted = [
            line
            for line in (await server.rest.get("/metrics")).text.splitlines()
            if line.startswith("tensorgate_requests_total{") and 'model_name="versions"' in line
        ]
        for version in (2, 3):
            assert any(f'model_version="{version}"' in line and 'code="ok"' in line for line in counted)
        assert not any('code="ok"' not in line for line in counted)


async def test_a_label_is_moved(saved: Path, tmp_path: Path) -> None:
    for version in (1, 2):
        shutil.copytree(saved / str(version), tmp_path / "versions" / str(version))
    async with serving_models(tmp_path, version_policy="all") as server:
        label = "/api/v1/models/versions/labels/stable"
        await server.rest.put(label, json={"version": 1})

        async def move(answered: Answered) -> None:
            for version in (2, 1, 2):
                await answered()
                assert (await server.rest.put(label, json={"version": version})).is_success
            await answered()

        answers = await asked_throughout(server, Question("versions", ZERO, version="stable"), move)
        for name, said in answers.items():
            assert set(versions_of(said)) == {1, 2}, name


async def test_a_reload_fails(saved: Path, tmp_path: Path) -> None:
    for version in (1, 2):
        shutil.copytree(saved / str(version), tmp_path / "versions" / str(version))
    shutil.copytree(saved / "3", tmp_path / "moved" / "2")
    (tmp_path / "bad" / "1").mkdir(parents=True)
    (tmp_path / "bad" / "1" / "saved_model.pb").write_bytes(b"rubbish")
    async with serving_models(tmp_path, version_policy="all") as server:
        models: Any = model_service_pb2_grpc.ModelServiceStub(server.channel)

        def config(name: str, folder: str, more: str = "") -> str:
            return f'config {{ name: "{name}" base_path: "{tmp_path}/{folder}" {more} }}'

        label = 'version_labels { key: "stable" value: 2 }'
        both = config("versions", "versions", f"model_version_policy {{ all {{}} }} {label}")
        older = config("versions", "versions", f"model_version_policy {{ specific {{ versions: 1 }} }} {label}")
        bad = config("bad", "bad")
        wrong = [bad, older, f"{both} {bad}", config("versions", "moved", label) + bad]
        await models.HandleReloadConfigRequest(reload_request(f"model_config_list {{ {both} }}"))

        async def fail(answered: Answered) -> None:
            await answered()
            for text in wrong:
                with pytest.raises(grpc.aio.AioRpcError):
                    await models.HandleReloadConfigRequest(reload_request(f"model_config_list {{ {text} }}"))

        for wanted in (None, 2, "stable"):
            answers = await asked_throughout(server, Question("versions", ZERO, version=wanted), fail)
            for name, said in answers.items():
                assert set(versions_of(said)) == {2}, name
        assert (await server.rest.get("/readyz")).is_success
