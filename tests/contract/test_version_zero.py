"""Version 0 is one as any other, in each protocol, on each backend; and not what a request means that names none."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from service.commands.main import main
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests import savedmodels, zoo_models
from tests.clients import Grpc, Rest
from tests.generic_cases import floats
from tests.questions import Question
from tests.real_server import BACKENDS, RealServer, serving_config
from tests.speakers import SPEAKERS


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration of ``plus`` and ``steps`` in the versions 0 and 1, and of version 0 alone of ``chosen``."""
    folder = tmp_path_factory.mktemp("models")
    for model in ("plus", "chosen"):
        zoo_models.save_versions(folder / model, 0, 1)
    for version in "01":
        savedmodels.save_steps(folder / "steps" / version)
    file = tmp_path_factory.mktemp("config") / "models.config"
    file.write_text(f"""
        model_config_list {{
          config {{
            name: "plus" base_path: "{folder}/plus" model_version_policy {{ all {{}} }}
            version_labels {{ key: "first" value: 0 }} version_labels {{ key: "second" value: 1 }}
          }}
          config {{ name: "steps" base_path: "{folder}/steps" model_version_policy {{ all {{}} }} }}
          config {{ name: "chosen" base_path: "{folder}/chosen" model_version_policy {{ specific {{ versions: 0 }} }} }}
        }}""")
    return file


@pytest.fixture(scope="module", params=BACKENDS)
async def server(request: pytest.FixtureRequest, grpc_server: str, config: Path) -> AsyncIterator[RealServer]:
    async with serving_config(request.param, config, grpc_server=grpc_server, allow_model_control=True) as server:
        yield server


@pytest.mark.parametrize("speaker", SPEAKERS)
@pytest.mark.parametrize(
    ("model", "version", "answered"),
    [("plus", 0, 0), ("plus", "first", 0), ("plus", None, 1), ("plus", "second", 1), ("chosen", None, 0)],
)
async def test_generic_protocols(
    server: RealServer, speaker: str, model: str, version: int | str | None, answered: int
) -> None:
    said = await SPEAKERS[speaker].ask(server, Question(model, {"x": floats(5)}, version=version))
    assert said.code == "ok", said
    assert said.outputs["y"].tolist() == [5 + answered]
    if speaker != "tfserving-rest":  # which does not say
        assert said.version == answered


@pytest.mark.parametrize("transport", [Rest, Grpc])
async def test_the_typed_api(server: RealServer, transport: Any) -> None:
    stub = TensorgateServiceStub(server.channel)  # type: ignore[no-untyped-call]
    client = transport(SimpleNamespace(rest=server.rest, stub=stub))
    for fields, answered in (({"version": 0}, 0), ({}, 1)):
        outcome = await client.forecast("steps", series=[[0.0] * 6], **fields)
        assert outcome.answer["version"] == answered
    described = (await client.model("steps", version=0)).answer["model"]
    assert [entry["version"] for entry in described["versions"]] == [0]
    assert (await client.set_label("steps", "zeroth", version=0)).answer["model"]["labels"] == {"zeroth": 0}
    assert (await client.forecast("steps", series=[[0.0] * 6], label="zeroth")).answer["version"] == 0
    await client.delete_label("steps", "zeroth")


async def test_models_are_described_by_it(server: RealServer) -> None:
    status = (await server.rest.get("/v1/models/plus/versions/0")).json()
    assert [entry["version"] for entry in status["model_version_status"]] == ["0"]
    assert (await server.rest.get("/v1/models/plus/versions/0/metadata")).json()["model_spec"]["version"] == "0"
    assert (await server.rest.get("/v2/models/plus")).json()["versions"] == ["0", "1"]
    assert (await server.rest.get("/v2/models/plus/versions/0/ready")).status_code == 200


async def test_the_command_line(server: RealServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "values.csv"
    table.write_text("x\n" + "0\n" * 6)
    where = ("--address", f"127.0.0.1:{server.runtime.grpc_port}", "--json")

    async def said(*command: object) -> Any:
        assert await asyncio.to_thread(main, [*map(str, command), *where]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    assert (await said("label", "steps", "zeroth", 0))["model"]["labels"] == {"zeroth": "0"}
    for which in (("--model-version", 0), ("--model-label", "zeroth")):
        assert (await said("forecast", table, "--model", "steps", *which))["version"] == "0"
    await said("label", "steps", "zeroth", "--remove")
