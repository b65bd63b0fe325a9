"""SavedModels as few write them, and folders with odd things in them, with real TensorFlow: what can be is served."""

import logging
import os
import shutil
from pathlib import Path

import pytest

from service.core.model_version import State
from service.wire import tensorflow_pb2 as tf_pb
from tests import odd_models, savedmodels, zoo_models
from tests.conftest import until
from tests.gateway import gateway
from tests.generic_cases import assert_same, floats
from tests.questions import Question, texts
from tests.real_server import serving_models
from tests.replicas import Replica, replicas
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


async def test_warm_up_may_leave_out_what_has_a_default(tmp_path: Path) -> None:
    zoo_models.save_zoo(tmp_path / "zoo")
    model = tmp_path / "models" / "all_optional"
    shutil.copytree(tmp_path / "zoo" / "all_optional", model)
    savedmodels.write_warmup(
        model / "1", savedmodels.predict_log("serving_default"), savedmodels.predict_log("", x=floats(1, 2))
    )
    async with serving_models(tmp_path / "models") as server:
        [version] = server.runtime.catalog.versions("all_optional")
    assert (version.state, version.error) == (State.AVAILABLE, "")
    assert version.unbatched == {"serving_default": "an input has a default"}


UNSERVABLE = {
    "sparse": "its input x is no dense tensor",
    "ragged": "its output y is no dense tensor",
    "resource": "its input x is resource",
    "quint8": "its output y is quint8",
    "serving_default": "nowhere:0",
    "twice": "x:0",
    "bad_default": "the default of its input x makes no sense",
    "other_default": "the default of its input x makes no sense",
}
"""What is said of each signature, or a part of it."""


async def test_signatures_that_cannot_be_served_do_not_keep_others_from_it_and_say_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    odd_models.save_unservable(tmp_path / "mixed" / "1", servable=True)
    with caplog.at_level(logging.WARNING):
        async with serving_models(tmp_path) as server:
            said = await SPEAKER.ask(server, Question("mixed", {"x": floats(1)}, signature="negate"))
            assert_same(dict(said.outputs), {"y": floats(-1)})
            for name, reason in UNSERVABLE.items():
                body = {"instances": [1.0], "signature_name": name}
                answer = (await server.rest.post("/v1/models/mixed:predict", json=body)).json()
                assert answer["error"] == f'Serving signature name: "{name}" not found in signature def'
                assert (answer["code"], answer["details"][0]["where"]) == ("signature_not_found", "signature")
                assert "which cannot be served: " in answer["details"][0]["got"]
                assert reason in answer["details"][0]["got"]
            # What asks for no signature is not answered by another one than the default.
            for speaker in SPEAKERS.values():
                said = await speaker.ask(server, Question("mixed", {"x": floats(1)}))
                assert said.code == "signature_not_found"
    warnings = [record.getMessage() for record in caplog.records if "cannot be served" in record.getMessage()]
    assert len(warnings) == len(UNSERVABLE)
    for name, reason in UNSERVABLE.items():
        [line] = [line for line in warnings if line.startswith(f"the signature {name} of version 1 of model mixed ")]
        assert reason in line


async def test_a_version_of_which_no_signature_can_be_served_is_refused_with_the_reasons(tmp_path: Path) -> None:
    odd_models.save_unservable(tmp_path / "none" / "1", servable=False)
    async with serving_models(tmp_path) as server:
        [version] = server.runtime.catalog.versions("none")
    assert version.state is State.END
    assert version.error.startswith("no signature can be served: ")
    for name, reason in UNSERVABLE.items():
        assert f" {name}: " in version.error
        assert reason in version.error


async def test_a_replica_may_report_signatures_that_cannot_be_served() -> None:
    dense = tf_pb.TensorInfo(name="x:0", dtype=tf_pb.DT_FLOAT, tensor_shape=tf_pb.TensorShapeProto(unknown_rank=True))
    plain = tf_pb.SignatureDef(inputs={"x": dense}, outputs={"y": dense})
    sparse = tf_pb.SignatureDef(inputs={"x": tf_pb.TensorInfo(dtype=tf_pb.DT_FLOAT)}, outputs={"y": dense})
    one, other = Replica(), Replica()
    one.others = {"plain": plain, "sparse": sparse}
    other.others = {"sparse": sparse}
    async with replicas(one, other), gateway(one) as served, gateway(other, ready=False) as refusing:
        body = {"instances": [1.0], "signature_name": "sparse"}
        answer = (await served.rest.post("/v1/models/m:predict", json=body)).json()
        assert answer["details"][0]["got"] == "'sparse', which cannot be served: its input x is no dense tensor"
        await until(lambda: refusing.versions() == {1: "END"})
        [version] = refusing.runtime.catalog.versions("m")
        assert version.error == "no signature can be served: sparse: its input x is no dense tensor"
