import re
from pathlib import Path

import pytest

from service.app.settings import Settings, SettingsError, fields, load, nearest_variables, unknown_variables


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
        ({"prot": "1"}, r"^prot: there is no such setting \(--prot\)$"),
        ({"rest_prt": "1"}, r"^rest_prt: there is no such setting \(--rest-prt\); the nearest: rest_port"),
        ({"rest_port": "x"}, r"got 'x' \(--rest-port\)$"),
        ({"max_batch_rows": "x"}, r"^max_request_rows: .* \(--max-batch-rows\)$"),
        ({"tls_key": "x"}, "^expected tls_certificate and tls_key together, or neither$"),
        ({"tls_client_ca": "x"}, "^expected tls_certificate and tls_key beside tls_client_ca$"),
        ({"tls_min_version": "1.1"}, r"^tls_min_version: expected '1.2' or '1.3', got '1.1' \(--tls-min-version\)$"),
        ({"tfserving_key": "x"}, "^expected tfserving_certificate and tfserving_key together, or neither$"),
        ({"isolated": "true", "backend": "tfserving"}, "isolated with the backend savedmodel alone"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_was_expected(flags: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(flags)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rest_port = ", "is not TOML"),
        (None, "cannot be read"),
        ("rest_prt = 1", r"^rest_prt: there is no such setting \(.*/settings.toml\); the nearest: rest_port"),
        ("host = 1", r"^host: expected .*, got 1 \(.*/settings.toml\)$"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "settings.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        load({}, file)


def test_only_what_is_wrong_is_reported() -> None:
    # Two other settings have a default that depends on this one.
    with pytest.raises(SettingsError) as caught:
        load({"log_format": "xml", "rest_port": "x"})
    assert sorted(finding.partition(":")[0] for finding in str(caught.value).split("; ")) == ["log_format", "rest_port"]


def test_a_wrong_variable_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORGATE_REST_PORT", "http")
    with pytest.raises(SettingsError, match=r"^rest_port: .*got 'http' \(TENSORGATE_REST_PORT\)$"):
        load({}, file)


def test_an_old_name_is_read_and_the_new_one_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setenv("TENSORGATE_MAX_BATCH_ROWS", "5")
    assert load({}, warn=warnings.append).max_request_rows == 5
    assert warnings == ["the setting max_batch_rows is called max_request_rows now (TENSORGATE_MAX_BATCH_ROWS)"]
    monkeypatch.setenv("TENSORGATE_MAX_REQUEST_ROWS", "6")
    assert load({}, warn=warnings.append).max_request_rows == 6


def test_variables_that_are_no_settings_are_found() -> None:
    environment = {"TENSORGATE_PROT": "1", "TENSORGATE_HOST": "x", "TENSORGATE_ADDRESS": "x", "HOME": "/"}
    assert unknown_variables(environment) == ["TENSORGATE_PROT"]
    assert nearest_variables("TENSORGATE_REST_PROT").startswith("; the nearest: TENSORGATE_REST_PORT")


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_what_is_secret_is_in_a_file_that_a_setting_names() -> None:
    for name, field in fields().items():
        if re.search("key|secret|password|token", name):
            assert field.annotation in {Path, Path | None}, name
