"""What a host without containers is given: a settings file that never drifts, and a unit that systemd accepts."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from service.app.settings import Settings, load
from service.app.settings_sample import sample
from tests.processes import ROOT

SAMPLE = ROOT / "deploy" / "tensorgate.toml"
UNIT = ROOT / "deploy" / "systemd" / "tensorgate.service"
PROGRAM = "/opt/tensorgate/bin/tensorgate"
WITHOUT_DEFAULT = {name for name, field in Settings.model_fields.items() if field.default is None}
AS_MANY_AS_CORES = {"backend_threads", "tensorflow_threads"}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TENSORGATE_{name.upper()}", raising=False)


def test_the_sample_is_what_the_settings_say() -> None:
    assert SAMPLE.read_text("utf-8") == sample(), "make sample"


def test_the_sample_changes_nothing_as_it_is() -> None:
    assert load({}, SAMPLE) == load({})


def test_every_line_of_the_sample_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "tensorgate.toml"
    file.write_text(re.sub(r"^#(?=\w)", "", SAMPLE.read_text("utf-8"), flags=re.MULTILINE))
    assert set(tomllib.loads(file.read_text())) == set(Settings.model_fields)
    given, default = load({}, file).model_dump(), load({}).model_dump()
    for name in Settings.model_fields:
        if name not in WITHOUT_DEFAULT | AS_MANY_AS_CORES:
            assert given[name] == default[name], name


def test_the_sample_is_narrow() -> None:
    assert max(map(len, SAMPLE.read_text("utf-8").splitlines())) <= 120


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace(PROGRAM, "/bin/true"))  # it is not installed here
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_the_unit_waits_for_the_drain_and_for_the_models() -> None:
    directives = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    settings = load({}, SAMPLE)
    assert float(directives["TimeoutStopSec"]) > settings.drain_delay + settings.drain_timeout + 10
    assert directives["ExecStart"].startswith(f"{PROGRAM} serve --config ")
    assert f"{PROGRAM} probe" in directives["ExecStartPost"]
    assert directives["ExecReload"].endswith("-HUP $MAINPID")
    assert directives["RestartPreventExitStatus"] == "2"


def test_the_unit_may_write_where_it_does_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    directives = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
    assert directives["ProtectSystem"] == "strict"
    name, _, value = directives["Environment"].partition("=")
    monkeypatch.setenv(name, value.replace("%C", "/var/cache"))
    cache = load({"models": "s3://bucket/models"}, SAMPLE).models_folder
    assert Path("/var/cache", directives["CacheDirectory"]) in cache.parents
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    section = text.partition("## On a host without")[2].partition("\n## ")[0]
    assert f"/var/lib/{directives['StateDirectory']}/models.config" in section
    documentation = Path(directives["Documentation"].removeprefix("file:"))
    assert f"{documentation.parent} docs/*.md" in section
    assert (ROOT / "docs" / documentation.name).exists()
