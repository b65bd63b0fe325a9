"""What the settings let a server listen on."""

from pathlib import Path

import pytest

from service.app.front_settings import is_loopback, split_address
from service.app.settings import Settings, SettingsError, load


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_what_this_machine_alone_reaches_needs_nothing(host: str) -> None:
    assert is_loopback(host)
    assert load({"host": host}).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "192.0.2.1", "0", "", "no-such-name.invalid"])
def test_anything_else_is_refused_until_it_is_said_to_be_meant(host: str) -> None:
    assert not is_loopback(host)
    for settings in ({"host": host}, {"admin_address": f"{host or '*'}:8002" if ":" not in host else f"[{host}]:1"}):
        with pytest.raises(SettingsError) as caught:
            load(settings)
        for way in ("127.0.0.1", "TLS", "access control", "--insecure", "TENSORGATE_INSECURE"):
            assert way in str(caught.value)
        load(settings | {"insecure": "true"})


def test_it_may_be_said_in_the_environment_and_in_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('host = "0.0.0.0"\n')
    with pytest.raises(SettingsError):
        load({}, file)
    monkeypatch.setenv("TENSORGATE_INSECURE", "true")
    assert load({}, file).host == "0.0.0.0"
    monkeypatch.delenv("TENSORGATE_INSECURE")
    file.write_text('host = "0.0.0.0"\ninsecure = true\n')
    assert load({}, file).insecure


def test_with_access_control_nothing_need_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "has_access_control", True)
    assert load({"host": "0.0.0.0"}).host == "0.0.0.0"


def test_with_tls_nothing_need_be_said() -> None:
    tls = {"tls_certificate": "server.pem", "tls_key": "server.key"}
    assert load({"host": "0.0.0.0", "admin_address": "0.0.0.0:0"} | tls).host == "0.0.0.0"
    with pytest.raises(SettingsError, match=r"tls_min_version 1\.2, or no admin_address"):
        load({"admin_address": "127.0.0.1:0", "tls_min_version": "1.3", "grpc_server": "grpcio"} | tls)


def test_clients_change_nothing_by_default() -> None:
    assert load({}).allow_model_control is False


@pytest.mark.parametrize(
    ("text", "address"),
    [("", None), ("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:8002", ("::1", 8002)), ("box:65535", ("box", 65535))],
)
def test_an_address_is_read(text: str, address: tuple[str, int] | None) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize(
    "text", ["8002", ":8002", "box", "box:", "box:x", "box:65536", "box:-1", "::1:8002", "[]:1", "b:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^admin_address: expected an address host:port, .* \(--admin-address\)$"):
        load({"admin_address": text})
