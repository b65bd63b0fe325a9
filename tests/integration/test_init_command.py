"""``tensorgate init``: what it writes is what the server and Compose read."""

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from service.app.settings import load
from service.commands.main import main
from tests import savedmodels
from tests.processes import server_process

pytestmark = [pytest.mark.over_rest, pytest.mark.timeout(200)]


def test_what_it_writes_is_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = savedmodels.save_shades(tmp_path / "elsewhere" / "pets" / "7")
    folder = tmp_path / "serving"
    assert main(["init", str(folder), "--from", str(version.parent)]) == 0
    assert (folder / "models" / "pets" / "1" / "saved_model.pb").is_file()
    monkeypatch.chdir(folder)
    settings = load({}, Path("tensorgate.toml"))
    assert (settings.models, settings.rest_port, settings.log_format) == (Path("models"), 8000, "text")
    with server_process("--config", str(folder / "tensorgate.toml"), "--models", str(folder / "models")) as server:
        assert "Tensorgate serves pets" in server.announcement()
        assert httpx.get(server.rest + "/readyz").status_code == 200


def test_the_compose_file_is_one(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path / "serving")]) == 0
    if shutil.which("docker") is None:
        pytest.skip("no docker to read it")
    command = ["docker", "compose", "--file", str(tmp_path / "serving" / "compose.yaml"), "config", "--quiet"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stderr == ""


def test_nothing_is_overwritten_and_no_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tensorgate.toml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 1
    assert "tensorgate.toml is there already; nothing was written" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["tensorgate.toml"]
    assert main(["init", str(tmp_path / "new"), "--from", str(tmp_path / "nope")]) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
