"""SavedModels as few write them, and folders with odd things in them, with real TensorFlow: what can be is served."""

import os
from pathlib import Path

import pytest

from tests import odd_models, savedmodels, zoo_models
from tests.generic_cases import assert_same, floats
from tests.questions import Question, texts
from tests.real_server import serving_models
from tests.speakers import SPEAKERS

SPEAKER = SPEAKERS["open-inference-rest-json"]


async def test_a_graph_may_be_text(tmp_path: Path) -> None:
    zoo_models.save_versions(tmp_path / "text", 1)
    odd_models.rewrite_as_text(tmp_path / "text" / "1")
    async with serving_models(tmp_path) as server:
        said = await SPEAKER.ask(server, Question("text", {"x": floats(1)}))
    assert_same(dict(said.outputs), {"y": floats(2)})


async def test_a_version_that_would_be_waited_for_is_listed_with_its_error(tmp_path: Path) -> None:
    savedmodels.save_steps(tmp_path / "steps" / "1")
    piped = savedmodels.save_steps(tmp_path / "steps" / "2")
    (piped / "variables" / "variables.index").unlink()
    os.mkfifo(piped / "variables" / "variables.index")
    async with serving_models(tmp_path) as server:
        status = (await server.rest.get("/v1/models/steps")).json()["model_version_status"]
    assert [(entry["version"], entry["state"]) for entry in status] == [("2", "END"), ("1", "AVAILABLE")]
    assert status[0]["status"]["error_message"] == "variables/variables.index is neither a file nor a folder"


@pytest.mark.parametrize("speaker", SPEAKERS)
async def test_a_signature_may_return_what_it_takes(tmp_path: Path, speaker: str) -> None:
    odd_models.save_echoes(tmp_path / "echo" / "1")
    async with serving_models(tmp_path) as server:
        ask = SPEAKERS[speaker].ask
        said = await ask(server, Question("echo", {"x": floats(1, 2)}))
        assert_same(dict(said.outputs), {"y": floats(1, 2)})
        said = await ask(server, Question("echo", {"x": texts(["a", b"\xff"])}, signature="texts"))
        assert_same(dict(said.outputs), {"y": texts(["a", b"\xff"])})
        said = await ask(server, Question("echo", {"x": floats(1, 2)}, signature="more"))
        assert_same(dict(said.outputs), {"a": floats(2, 4), "b": floats(1, 2), "c": floats(2, 4)})
