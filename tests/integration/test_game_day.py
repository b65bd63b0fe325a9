"""The game day of docs/operations.md: what goes wrong with models and files, what is seen of it, what mends it."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app.lifecycle import Server
from service.app.settings import load
from service.core.model_version import State
from tests import savedmodels
from tests.conftest import serving, until
from tests.processes import ROOT
from tests.signals import alerts, shown, until_shown

pytestmark = pytest.mark.timeout(120)

CLASSIFY = "/api/v1/models/shades/classify"
BLACK: dict[str, Any] = {"images": [{"pixels": [[0] * 4] * 4}]}
FAKE = ("--backend", "tests.fakes:FakeBackend", "--models", "nowhere")


def rows() -> list[list[str]]:
    """Returns the cells of each row of the game day in the docs."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    part = re.search(r"^## Game day$(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert part is not None
    found = re.findall(r"^\| (\d+ .*) \|$", part[1], re.MULTILINE)
    return [[cell.strip() for cell in row.split(" | ")] for row in found]


@pytest.mark.over_rest
def test_each_row_names_alerts_and_tests_that_there_are() -> None:
    assert len(rows()) == 12
    dashboard = (ROOT / "deploy" / "grafana" / "dashboards" / "tensorgate.json").read_text("utf-8")
    for what, seen, done, test in rows():
        assert done, what
        assert set(re.findall(r"Tensorgate\w+", seen)) <= alerts().keys(), what
        for panel in re.findall(r'"([^"]+)"', seen):
            assert f'"title": "{panel}"' in dashboard, panel
        for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", test):
            assert f"def {name}(" in (ROOT / file).read_text("utf-8"), test
        assert re.search(r"`tests/[\w/]+\.py::\w+`", test), what


@asynccontextmanager
async def real(folder: Path) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    """Serves the SavedModels of a folder."""
    savedmodels.save_shades(folder / "shades" / "1")
    chosen = load({"models": folder, "rest_port": 0, "grpc_port": 0, "poll_seconds": 0.1, "drain_timeout": 5})
    async with Server(chosen) as server:
        await server.ready()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.rest_port}", timeout=20) as rest:
            yield server, rest


async def state(rest: httpx.AsyncClient, version: int) -> dict[str, str]:
    models = (await rest.get("/readyz")).json()["models"]
    found: dict[str, str] = models["shades"]["versions"].get(str(version), {})
    return found


async def answered_by(rest: httpx.AsyncClient) -> Any:
    response = await rest.post(CLASSIFY, json=BLACK)
    assert response.status_code == 200, response.text
    return response.json()["version"]


@pytest.mark.over_rest
async def test_a_bad_version(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with real(tmp_path) as (_, rest):
        bad = tmp_path / "shades" / ".2"
        bad.mkdir()
        (bad / "saved_model.pb").write_bytes(b"\xff" * 40)
        bad.rename(tmp_path / "shades" / "2")
        async with asyncio.timeout(30):
            while (await state(rest, 2)).get("state") != State.END:
                assert await answered_by(rest) == 1
        alert, labels = "TensorgateVersionFailed", {"model_name": "shades", "model_version": "2", "state": "END"}
        assert await shown(rest, alert, "tensorgate_model_state", **labels) == 1
        assert (await state(rest, 2))["error"]
        assert any("version 2 of model shades cannot be served" in message for message in caplog.messages)
        assert ((await rest.get("/readyz")).status_code, await answered_by(rest)) == (200, 1)
        shutil.rmtree(tmp_path / "shades" / "2")
        await until_shown(rest, alert, "tensorgate_model_state", lambda failed: failed == 0, state="END")


@pytest.mark.over_rest
async def test_a_typo_in_the_list_of_models(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "models.config"
    right = 'model_config_list { config { name: "shades" base_path: "shades" } }'
    file.write_text(right)
    fake = {"backend": "tests.fakes:ControllableFake", "model_config_file": file, "poll_seconds": 0.02}
    async with serving(**fake) as served:
        file.write_text(right.replace("}", "", 1))
        await until(lambda: any(str(file) in message for message in caplog.messages))
        seen = ("TensorgateModelConfigNotInEffect", "tensorgate_model_config_in_effect")
        assert await shown(served.rest, *seen) == 0
        assert (await served.rest.post(CLASSIFY, json=BLACK)).status_code == 200
        file.write_text(right)
        await until_shown(served.rest, *seen, lambda in_effect: in_effect == 1)


@pytest.mark.over_rest
async def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with serving(request_log=tmp_path / "log") as served:
        monkeypatch.setattr("service.recording.files.RotatedFiles.write", full)
        assert (await served.rest.post(CLASSIFY, json=BLACK)).status_code == 200
        seen = ("TensorgateRecordsMissing", "tensorgate_request_log_dropped_total")
        await until_shown(served.rest, *seen, lambda missing: missing == 1, reason="disk")
        assert any("requests are missing in the request log (disk): No space left" in text for text in caplog.messages)
        monkeypatch.undo()
        await served.rest.post(CLASSIFY, json=BLACK)
    assert [file.suffix for file in (tmp_path / "log").iterdir() if file.stat().st_size] == [".tfrecord"]


@pytest.mark.over_rest
async def test_a_broken_upload(tmp_path: Path) -> None:
    async with real(tmp_path / "served") as (_, rest):
        whole = savedmodels.save_shades(tmp_path / "elsewhere")
        target = tmp_path / "served" / "shades" / "2"
        target.mkdir()
        data = (whole / "saved_model.pb").read_bytes()
        (target / "saved_model.pb").write_bytes(data[: len(data) // 2])  # and there the copy breaks off
        async with asyncio.timeout(30):
            while (await state(rest, 2)).get("state") != State.END:
                assert await answered_by(rest) == 1
        assert await shown(rest, "TensorgateVersionFailed", "tensorgate_model_state", state="END") == 1
        shutil.copytree(whole, target, dirs_exist_ok=True)  # the copy is made again, and is tried again by itself
        seen = ("TensorgateVersionFailed", "tensorgate_model_state")
        await until_shown(rest, *seen, lambda available: available == 1, model_version="2", state="AVAILABLE")
        assert (await answered_by(rest), await shown(rest, *seen, state="END")) == (2, 0)


@pytest.mark.over_rest
async def test_a_rollback(tmp_path: Path) -> None:
    savedmodels.save_shades(tmp_path / "shades" / "2")
    async with real(tmp_path) as (_, rest):
        assert await answered_by(rest) == 2
        (tmp_path / "shades" / "2").rename(tmp_path / "shades" / "bad-2")
        answers = []
        async with asyncio.timeout(60):
            while 1 not in answers:
                answers.append(await answered_by(rest))
        assert answers == sorted(answers, reverse=True)
        assert await shown(rest, "TensorgateVersionFailed", "tensorgate_model_state", state="END") == 0
