"""Drift over the whole stack: what is asked, what is reported, and where references are found."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from service.backends.registry import BackendOptions
from service.core.catalog import Catalog
from service.core.drift_reference import Reference
from service.core.model_version import ModelRef, State
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.conftest import Served, serving, serving_replica
from tests.drift import images, of_shades

Json = dict[str, Any]
DRIFT = "/api/v1/models/shades/drift"


@pytest.fixture
async def watched() -> AsyncIterator[Served]:
    async with serving(backend="tests.drift:WatchedBackend", drift_share=1.0) as served:
        yield served


async def ask(served: Served, pictures: Any, path: str = "shades") -> None:
    for start in range(0, len(pictures), 32):
        body = {"instances": pictures[start : start + 32].tolist()}
        assert (await served.rest.post(f"/v1/models/{path}:predict", json=body)).status_code == 200


async def drift(served: Served, path: str = DRIFT) -> Json:
    response = await served.rest.get(path)
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def of_default(answer: Json, what: str) -> Json:
    """Returns a field of each statistic of the signature that takes pixels."""
    return {
        f"{one['tensor']} {one['statistic']}": one.get(what)
        for one in answer["statistics"]
        if one["signature"] == "serving_default"
    }


async def test_nothing_is_known_before_anything_is_asked(watched: Served) -> None:
    answer = await drift(watched)
    assert answer["watched"] is True
    assert answer["reference"] == "pictures of no colour"
    assert (answer["model"], answer["version"], answer["share"], answer["half_life"]) == ("shades", 2, 1, 3600)
    assert set(of_default(answer, "verdict").values()) == {"too_few_rows"}
    assert set(of_default(answer, "psi").values()) == {None}
    assert set(of_default(answer, "reference_rows").values()) == {1000}


async def test_what_looks_as_it_did_is_stable_and_what_is_inverted_has_drifted(watched: Served) -> None:
    await ask(watched, images(512, seed=1))
    stable = await drift(watched)
    assert set(of_default(stable, "verdict").values()) == {"stable"}, stable
    assert all(rows == pytest.approx(512, abs=2) for rows in of_default(stable, "rows").values())
    await ask(watched, 255 - images(1024, seed=2, mean=60))
    drifted = await drift(watched)
    verdicts = of_default(drifted, "verdict")
    assert verdicts["images mean"] == "drifted"
    assert verdicts["scores argmax"] == "drifted"
    assert of_default(drifted, "test")["scores argmax"] == "chi_square"
    labels = {"model_name": "shades", "tensor": "images", "statistic": "mean"}
    assert await watched.metric("tensorgate_drift_psi", **labels) == pytest.approx(
        of_default(drifted, "psi")["images mean"], rel=0.01
    )
    assert await watched.metric("tensorgate_drift_p_value", **labels) < 0.001
    assert await watched.metric("tensorgate_drift_rows", **labels) > 1500


async def test_files_are_watched_by_what_is_answered(watched: Served) -> None:
    for _ in range(3):
        body = {"signature_name": "classify_bytes", "instances": [{"b64": "AAAA"}] * 32}
        assert (await watched.rest.post("/v1/models/shades:predict", json=body)).status_code == 200
    rows = {
        (one["tensor"], one["statistic"]): one["rows"]
        for one in (await drift(watched))["statistics"]
        if one["signature"] == "classify_bytes"
    }
    assert rows == {("scores", "argmax"): pytest.approx(96, abs=1), ("scores", "largest"): pytest.approx(96, abs=1)}


async def test_each_version_has_its_own(watched: Served) -> None:
    await ask(watched, images(64), path="shades/versions/1")
    assert all(rows > 60 for rows in of_default(await drift(watched, DRIFT + "?version=1"), "rows").values())
    assert set(of_default(await drift(watched, DRIFT + "?version=2"), "rows").values()) == {0}


async def test_both_transports_say_the_same(watched: Served) -> None:
    await ask(watched, images(64))
    over_rest = await drift(watched)
    over_grpc = MessageToDict(
        await watched.stub.GetDrift(pb.GetDriftRequest(model="shades")),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    for one, other in zip(over_rest["statistics"], over_grpc["statistics"], strict=True):
        assert one.keys() == other.keys()
        assert one.get("psi", -1) == pytest.approx(other.get("psi", -1), rel=0.01)
    assert int(over_grpc["version"]) == over_rest["version"]


async def test_a_model_without_a_reference_is_not_watched_and_says_so(watched: Served) -> None:
    await watched.rest.post("/v1/models/double:predict", json={"instances": [1.0]})
    answer = await drift(watched, "/api/v1/models/double/drift")
    assert (answer["watched"], answer["statistics"]) == (False, [])
    assert "tensorgate_reference.json" in answer["unwatched_reason"]
    assert await watched.metric("tensorgate_drift_rows", model_name="double") == 0


async def test_a_share_of_zero_is_off() -> None:
    async with serving(backend="tests.drift:WatchedBackend", drift_share=0.0) as served:
        await ask(served, images(64))
        answer = await drift(served)
        assert (answer["watched"], answer["unwatched_reason"]) == (False, "drift_share is 0")
        assert "tensorgate_drift_rows{" not in (await served.rest.get("/metrics")).text


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/models/none/drift", "model_not_found"),
        (DRIFT + "?version=9", "model_not_found"),
        (DRIFT + "?version=3", "not_ready"),
        (DRIFT + "?label=none", "label_not_found"),
        (DRIFT + "?other=1", "invalid_input"),
        (DRIFT + "?version=1&label=x", "invalid_input"),
    ],
)
async def test_what_is_not_there_is_refused(watched: Served, path: str, code: str) -> None:
    assert (await watched.rest.get(path)).json()["code"] == code


async def test_behind_a_gateway_the_reference_is_read_where_the_folder_can_be_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_shades(tmp_path / "shades" / "002")
    monkeypatch.setenv("TENSORGATE_MODELS", str(tmp_path))
    async with serving_replica("shades,steps", drift_share=1.0) as served:
        await ask(served, images(64))
        answer = await drift(served)
        assert answer["watched"] is True
        assert all(rows > 60 for rows in of_default(answer, "rows").values())
        assert (await drift(served, DRIFT + "?version=1"))["watched"] is False
        assert (await drift(served, "/api/v1/models/steps/drift"))["watched"] is False


async def reference_of(models: Path) -> Reference | None:
    """Loads the model ``shades`` of a folder, with TensorFlow."""
    from service.backends.savedmodel.backend import SavedModelBackend

    backend, catalog = SavedModelBackend(BackendOptions(models=models, threads=1)), Catalog()
    try:
        await backend.start(catalog)
        version = catalog.find(ModelRef("shades"))
        assert version.state is State.AVAILABLE
        return version.reference
    finally:
        await backend.close()


async def test_a_reference_is_read_with_the_model_and_a_broken_one_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.savedmodels import save_shades

    folder = tmp_path / "shades" / "1"
    await asyncio.to_thread(save_shades, folder)
    assert await reference_of(tmp_path) is None
    file = of_shades(folder)
    file.write_text(file.read_text().replace('"counts": [', '"counts": [-5, ', 1))
    with caplog.at_level(logging.WARNING):
        assert await reference_of(tmp_path) is None
    assert "drift is not watched" in caplog.text
    assert "counts.0" in caplog.text
    assert str(file) in caplog.text
