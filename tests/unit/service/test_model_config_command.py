"""The list of models that is written is the one that is read, and what an operator put into it stays."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.app.model_config_edit import locked
from service.codecs.model_config import parse_model_configs
from service.codecs.model_config_text import format_model_configs
from service.commands.main import main
from service.core.model_config import ModelConfig
from service.core.versions import VersionPolicy


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    for version in ("digits/1", "digits/2", "sunspots/1"):
        (folder / version).mkdir(parents=True)
        (folder / version / "saved_model.pb").touch()
    (folder / "no model").mkdir()
    return folder


def write(models: Path, *options: str) -> list[ModelConfig]:
    file = models / "models.config"
    assert main(["model-config", "--models", str(models), "--output", str(file), *options]) == 0
    return parse_model_configs(file.read_text(), folder=Path("/nowhere"))


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig("digits", Path("/models/digits")),
        ModelConfig("digits", Path("/models/digits"), VersionPolicy(newest=3), {"stable": 1, "canary": 2}),
        ModelConfig("digits", Path("/models/digits"), VersionPolicy(newest=None)),
        ModelConfig("größe", Path('/models/a "quoted" folder'), VersionPolicy(None, frozenset({1, 7}))),
    ],
    ids=["latest", "labels", "all", "specific"],
)
def test_what_is_written_is_read_as_it_was(config: ModelConfig) -> None:
    assert parse_model_configs(format_model_configs([config]), folder=Path("/nowhere")) == [config]


def test_a_list_has_every_model_that_has_a_version(models: Path) -> None:
    assert write(models) == [
        ModelConfig("digits", models / "digits"),
        ModelConfig("sunspots", models / "sunspots"),
    ]


def test_what_gateways_write_meanwhile_is_not_lost(models: Path) -> None:
    write(models)
    (models / "new" / "1").mkdir(parents=True)
    (models / "new" / "1" / "saved_model.pb").touch()
    file = models / "models.config"
    with ThreadPoolExecutor(1) as pool, locked(file):
        listing = pool.submit(write, models)
        with pytest.raises(TimeoutError):
            listing.result(0.2)  # it waits for who has the lock, and has read nothing yet
        file.write_text(
            file.read_text().replace('base_path: "', 'version_labels { key: "stable" value: 1 } base_path: "', 1)
        )
    names = {config.name: config.labels for config in listing.result(30)}
    assert names == {"digits": {"stable": 1}, "sunspots": {}, "new": {}}


def test_a_folder_that_cannot_be_written_to_is_told(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["model-config", "--models", str(models), "--output", str(models / "nowhere" / "models.config")]
    assert main(command) == 1
    assert "models.config cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_model_of_which_no_version_can_be_read_is_left_out(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "broken").mkdir()
    (models / "broken" / "1").symlink_to("nowhere")
    (models / "digits" / "3").symlink_to("nowhere")
    assert [config.name for config in write(models)] == ["digits", "sunspots"]
    assert "version 1 of model broken cannot be read: No such file or directory" in capsys.readouterr().err


def test_models_that_have_come_are_added_and_what_is_there_stays(models: Path) -> None:
    kept = ModelConfig("sunspots", Path("/elsewhere"), VersionPolicy(newest=2), {"stable": 1})
    (models / "models.config").write_text(format_model_configs([kept]))
    assert write(models, "--version-policy", "all") == [
        kept,
        ModelConfig("digits", models / "digits", VersionPolicy(newest=None)),
    ]


def test_a_list_that_has_all_models_is_not_touched(models: Path) -> None:
    write(models)
    file = models / "models.config"
    file.write_text("# mine\n" + file.read_text())
    before = file.stat()
    write(models)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_list_is_printed_where_no_file_is_named(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model-config", "--models", str(models)]) == 0
    names = [config.name for config in parse_model_configs(capsys.readouterr().out, folder=Path("/nowhere"))]
    assert names == ["digits", "sunspots"]


@pytest.mark.parametrize(
    ("contents", "complaint"),
    [(None, "there is no model in"), ("model_config_list {", "models.config: ")],
    ids=["no model", "no list"],
)
def test_what_cannot_be_listed_is_said(
    contents: str | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "models.config"
    if contents is not None:
        file.write_text(contents)
    assert main(["model-config", "--models", str(tmp_path), "--output", str(file)]) == 1
    assert complaint in capsys.readouterr().err
    assert file.exists() == (contents is not None)


def test_a_file_is_checked_before_servers_read_it(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(models)
    file = models / "models.config"
    assert main(["model-config", "--check", str(file)]) == 0
    assert capsys.readouterr().out.endswith(f"{file}: digits, sunspots\n")
    file.write_text(file.read_text().replace("base_path", "base_pth"))
    before = file.read_text()
    assert main(["model-config", "--check", str(file)]) == 1
    assert "config[0].base_path: expected a folder" in capsys.readouterr().err
    assert file.read_text() == before
