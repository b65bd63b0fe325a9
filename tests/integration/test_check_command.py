"""``tensorgate check``: what it says of good models, of odd ones, and of what is none."""

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app.check import CheckError, check, found_at
from service.app.lifecycle import Server
from service.app.settings import load
from tests import savedmodels
from tests.processes import ROOT
from tests.zoo_models import save_zoo

pytestmark = [pytest.mark.over_rest, pytest.mark.timeout(200)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "check", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)


def test_a_classifier_is_described(tmp_path: Path) -> None:
    savedmodels.save_shades(tmp_path / "shades" / "1")
    newest = savedmodels.save_shades(tmp_path / "shades" / "3")
    done = run(tmp_path / "shades", "--seconds", "0.01", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    assert (report["path"], report["is_served"]) == (str(newest), True)
    assert report["verdict"] == "an image classifier of 2 classes, for 4 x 4 x 1 pixels, or image files"
    signatures = {signature["name"]: signature for signature in report["signatures"]}
    assert signatures["serving_default"]["takes"] == "images float32 [?, 4, 4, 1]"
    assert [speed["rows"] for speed in signatures["serving_default"]["speeds"]] == [1, 8, 64]
    assert all(speed["milliseconds"] > 0 for speed in signatures["serving_default"]["speeds"])
    assert "the typed API (classify)" in signatures["serving_default"]["answers"]
    assert report["request"].startswith("curl -H 'Content-Type: application/json' -d '{")
    assert any("tf_serving_warmup_requests" in hint for hint in report["hints"])


async def test_a_generic_model_is_asked_as_it_says(tmp_path: Path) -> None:
    save_zoo(tmp_path)
    settings = load({"models": tmp_path, "rest_port": 0, "grpc_port": 0})
    async with Server(settings) as server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.rest_port}") as rest:
        await server.ready()
        for name in ("pair", "words", "vector", "scalar"):
            report = await check(tmp_path / name / "1", Path(tempfile.mkdtemp(dir=tmp_path, prefix=".")), seconds=0)
            curl = shlex.split(report.request)
            assert curl[:2] == ["curl", "-H"]
            path = curl[-1].removeprefix("http://127.0.0.1:8000")
            answer = await rest.post(path, content=curl[4], headers={"content-type": "application/json"}, timeout=60)
            assert answer.status_code == 200, (name, answer.text)


def test_what_is_wrong_is_told_with_what_to_mend(tmp_path: Path) -> None:
    save_zoo(tmp_path)
    told = run(tmp_path / "vector", "--seconds", "0").stdout
    assert "served by the generic protocols alone" in told
    assert "are run one by one: " in told
    broken = tmp_path / "broken" / "1"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"\xff")
    done = run(broken)
    assert done.returncode == 1
    assert "cannot be served: " in done.stdout


@pytest.mark.parametrize(
    ("files", "path", "message"),
    [
        ((), "nothing", "there is no such folder"),
        (("pets.keras",), ".", r"export it, model.export"),
        (("v1/saved_model.pb",), ".", r"v1 has no number for a name: rename it"),
        (("a/b/c.txt",), ".", "expected a SavedModel"),
    ],
)
def test_what_is_no_model_is_told_with_a_cure(tmp_path: Path, files: tuple[str, ...], path: str, message: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(CheckError, match=message):
        found_at(tmp_path / path)
