"""A rollout is declared only of versions that are there and served."""

from pathlib import Path

import pytest

from service.app.model_config_file import ModelConfigFile
from service.commands.main import main


def write(folder: Path, policy: str, *versions: int) -> Path:
    for version in versions:
        made = folder / "digits" / str(version)
        made.mkdir(parents=True)
        (made / "saved_model.pb").touch()
    file = folder / "models.config"
    file.write_text(
        f'model_config_list {{ config {{ name: "digits" base_path: "digits" model_version_policy {{ {policy} }} }} }}'
    )
    return file


def start(file: Path, *, stable: int, canary: int) -> int:
    command = ["rollout", "start", "digits", "--file", file, "--stable", stable, "--canary", canary]
    return main([str(word) for word in command])


@pytest.mark.parametrize(
    ("policy", "stable", "canary", "words"),
    [
        ("all {}", 7, 9, "--canary: expected one of the versions in {folder}/digits: 6, 7, 8; got 9"),
        ("all {}", 5, 8, "--stable: expected one of the versions in {folder}/digits: 6, 7, 8; got 5"),
        ("latest { num_versions: 1 }", 7, 8, "--stable: the version policy of digits serves 8, and"),
        ("specific { versions: [6, 7] }", 7, 8, "--canary: the version policy of digits serves 6, 7, and"),
    ],
)
def test_versions_that_are_not_there_or_not_served_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policy: str, stable: int, canary: int, words: str
) -> None:
    file = write(tmp_path, policy, 6, 7, 8)
    before = file.read_bytes()
    assert start(file, stable=stable, canary=canary) == 1
    assert words.format(folder=tmp_path) in capsys.readouterr().err
    assert file.read_bytes() == before


def test_versions_that_cannot_be_loaded_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "all {}", 7)
    (tmp_path / "digits" / "8" / "saved_model.pb").mkdir(parents=True)
    assert start(file, stable=7, canary=8) == 1
    assert "--canary: version 8 cannot be loaded: saved_model.pb is not a file" in capsys.readouterr().err


def test_versions_that_are_there_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert start(write(tmp_path, "latest { num_versions: 2 }", 6, 7, 8), stable=7, canary=8) == 0
    assert not capsys.readouterr().err


def test_where_the_folder_is_elsewhere_it_is_said_that_nobody_looked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "all {}")
    assert start(file, stable=7, canary=8) == 0
    assert "not known here" in capsys.readouterr().err
    [config] = ModelConfigFile(file).read()
    assert config.traffic.rollout is not None
