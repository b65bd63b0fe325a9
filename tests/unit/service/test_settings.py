from pathlib import Path

import pytest

from service.app.settings import Settings, SettingsError, load, unknown_variables


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TENSORGATE_{name.upper()}", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "tensorgate.toml"
    written.write_text('rest_port = 1\ngrpc_port = 2\nhost = "::1"\n')
    return written


def test_it_listens_to_this_machine_alone_by_default() -> None:
    assert load({}).host == "127.0.0.1"


def test_a_flag_goes_before_a_variable_and_a_variable_before_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORGATE_REST_PORT", "11")
    monkeypatch.setenv("TENSORGATE_GRPC_PORT", "12")
    settings = load({"grpc_port": "22"}, file)
    assert (settings.host, settings.rest_port, settings.grpc_port) == ("::1", 11, 22)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"rest_port": "http"}, "rest_port: expected a valid integer.*got 'http'"),
        ({"rest_port": "65536"}, "rest_port: expected less than or equal to 65535"),
        ({"max_request_rows": "0"}, "max_request_rows: expected greater than or equal to 1"),
        ({"log_format": "xml"}, "log_format: expected 'json' or 'text'"),
        ({"prot": "1"}, "prot: expected no such field"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(flags: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(flags)


@pytest.mark.parametrize(
    ("text", "words"),
    [("rest_port = ", "is not TOML"), ("prot = 1", "prot: expected no such field"), (None, "cannot be read")],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        load({}, file)


def test_variables_that_are_no_settings_are_found() -> None:
    environment = {"TENSORGATE_PROT": "1", "TENSORGATE_HOST": "x", "TENSORGATE_ADDRESS": "x", "HOME": "/"}
    assert unknown_variables(environment) == ["TENSORGATE_PROT"]


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())
