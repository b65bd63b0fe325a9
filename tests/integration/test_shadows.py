"""Shadows of real models, on both backends and on another server: compared, and in nobody's way."""

from pathlib import Path
from typing import Any

import pytest

from service.core.shadow import Outcome
from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests import rollout_models
from tests.conftest import until
from tests.real_server import BACKENDS, RealServer, serving_config
from tests.rollout_models import FAILING, GOOD, RENAMED, SLOW, STABLE

SECONDS = 60
ROWS = rollout_models.rows(200)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    rollout_models.save_rollout_models(folder)
    return folder


def config(file: Path, saved: Path, shadow: str, *versions: int) -> Path:
    policy = f"model_version_policy {{ specific {{ versions: [{STABLE}, {', '.join(map(str, versions))}] }} }}"
    split = f'splits {{ key: "" value {{ weights {{ key: {STABLE} value: 1 }} }} }}'
    model = f'config {{ name: "m" base_path: "{saved}" {policy} tensorgate {{ {split} shadow {{ {shadow} }} }} }}'
    file.write_text(f"model_config_list {{ {model} }}")
    return file


def count(server: RealServer, outcome: Outcome) -> int:
    known = server.runtime._parts.shadows.tally("m")
    assert known is not None
    return known[1].outcomes[outcome]


async def ask(server: RealServer, number: int) -> None:
    """Asks for a row, which the stable version answers well whatever becomes of the copy."""
    row = ROWS[number % len(ROWS)]
    answer = await server.rest.post("/v1/models/m:predict", json={"instances": [row.tolist()]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0] == pytest.approx(2 * row + 0.001, rel=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
async def test_answers_are_compared_and_reported(saved: Path, tmp_path: Path, backend: str) -> None:
    file = config(tmp_path / "models.config", saved, f"version: {GOOD}", GOOD)
    async with serving_config(backend, file) as server:
        for number in range(20):
            await ask(server, number)
        await until(lambda: count(server, Outcome.COMPARED) + count(server, Outcome.DROPPED) == 20, seconds=SECONDS)
        answer = (await server.rest.get("/api/v1/models/m/shadow")).json()
        assert (answer["declared"], answer["version"], answer["failed"]) == (True, GOOD, 0)
        assert answer["compared"] > 0
        assert 0 < answer["largest_difference"] < 1
        assert answer["shadow_mean_seconds"] > 0
        stub: Any = TensorgateServiceStub(server.channel)  # type: ignore[no-untyped-call]
        over_grpc = await stub.GetShadow(pb.GetShadowRequest(model="m"))
        assert (over_grpc.compared, over_grpc.version) == (answer["compared"], GOOD)
        page = (await server.rest.get("/metrics")).text
        labels = f'model_name="m",model_version="{GOOD}",outcome="compared"'
        assert f"tensorgate_shadow_requests_total{{{labels}}} {answer['compared']:.1f}" in page


@pytest.mark.parametrize(
    ("version", "outcome"),
    [(FAILING, Outcome.FAILED), (SLOW, Outcome.COMPARED), (RENAMED, Outcome.UNAVAILABLE)],
)
async def test_a_bad_shadow_is_nobody_s_business(saved: Path, tmp_path: Path, version: int, outcome: Outcome) -> None:
    file = config(tmp_path / "models.config", saved, f"version: {version}", version)
    async with serving_config("savedmodel", file) as server:
        number = 0
        while not count(server, outcome):
            await ask(server, number)
            number += 1


async def test_another_server_may_have_the_version(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other_file = config(tmp_path / "other" / "models.config", saved, f"version: {GOOD} share: 0", GOOD)
    async with serving_config("savedmodel", other_file) as other:
        shadow = f'version: {GOOD} address: "127.0.0.1:{other.runtime.grpc_port}"'
        file = config(tmp_path / "models.config", saved, shadow, SLOW)  # here it is not
        async with serving_config("savedmodel", file) as server:
            for number in range(10):
                await ask(server, number)
            await until(lambda: count(server, Outcome.COMPARED) > 0, seconds=SECONDS)
            known = server.runtime._parts.shadows.tally("m")
            assert known is not None
            assert 0 < known[1].difference < 1
    async with serving_config("savedmodel", file) as server:  # and now it is not there either
        await ask(server, 0)
        await until(lambda: count(server, Outcome.FAILED) == 1, seconds=SECONDS)
