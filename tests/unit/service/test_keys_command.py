import os
import re
import stat
from pathlib import Path

import pytest

from service.access.key_file import read_document
from service.access.keys import is_same, parse_key
from service.commands.main import main


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENSORGATE_ACCESS_FILE", str(tmp_path / "access.toml"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "access.toml"


def test_a_key_is_shown_once_and_never_again(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "shop", "--models", "digits*, sun?", "--expires", "90d"]) == 0
    out, err = capsys.readouterr()
    key = parse_key(out.strip().encode())
    assert key is not None
    assert "The key is shown this once" in err
    [entry] = read_document(file).keys
    assert is_same(key, bytes.fromhex(entry.sha256))
    assert (entry.name, entry.models, entry.actions) == ("shop", ["digits*", "sun?"], ["infer", "read"])
    assert entry.expires is not None
    assert (entry.expires - entry.created).days == 90
    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert re.search(rf"{key.id}.*shop.*digits\*, sun\?.*infer, read.*UTC.*UTC", listed)
    for secret in (key.secret.decode(), entry.sha256):
        assert secret not in listed + err
    assert key.secret.decode() not in file.read_text()


def test_it_is_written_to_a_new_file_of_its_owner_s(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "shop.key"
    command = ["keys", "add", "shop", "--models", "*", "--output", str(output)]
    before = os.umask(0)
    try:
        assert main(command) == 0
    finally:
        os.umask(before)
    out, err = capsys.readouterr()
    assert (out, stat.S_IMODE(output.stat().st_mode)) == ("", 0o600)
    key = parse_key(output.read_bytes().strip())
    assert key is not None
    assert key.secret.decode() not in err
    [entry] = read_document(file).keys
    assert is_same(key, bytes.fromhex(entry.sha256))
    assert main(command) == 1
    assert "expected a file that is not there yet" in capsys.readouterr().err
    assert output.read_bytes().strip() == key.text.encode()
    assert len(read_document(file).keys) == 1


def test_no_key_is_left_that_no_server_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, broken = tmp_path / "shop.key", tmp_path / "access.toml"
    broken.write_text("[[keys")
    assert main(["keys", "add", "shop", "--models", "*", "--output", str(output), "--file", str(broken)]) == 1
    assert "it is not TOML" in capsys.readouterr().err
    assert not output.exists()


def test_it_is_taken_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        main(["keys", "add", name, "--models", "*", "--actions", "metrics"])
    first, second = read_document(file).keys
    capsys.readouterr()
    assert main(["keys", "revoke", first.id]) == 0
    assert capsys.readouterr().out == f"key {first.id} of a is taken back\n"
    assert read_document(file).keys == [second]
    assert main(["keys", "revoke", first.id]) == 1
    assert "there is no key with the id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "shop", "--models", "*", "--actions", "fly"], r"actions\[0\]: expected 'infer', 'read', 'control'"),
        (["add", "shop", "--models", ",", "--actions", "read"], "models: expected at least 1, got 0"),
        (["add", "", "--models", "*"], "name: expected"),
        (["add", "shop", "--models", "*", "--output", "/nowhere/key"], "--output /nowhere/key: No such file"),
        (["list", "--file", "/nowhere/access.toml"], "/nowhere/access.toml: No such file or directory"),
        (["add", "shop", "--models", "*", "--file", "/nowhere/access.toml"], "/nowhere/access.toml: No such file"),
    ],
)
def test_what_makes_no_sense_says_so(
    arguments: list[str], words: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", *arguments]) == 1
    assert re.search(f"^tensorgate: .*{words}", capsys.readouterr().err)
    assert not file.exists()


@pytest.mark.parametrize("span", ["90", "3w", "0d", "-1d", "1.5h"])
def test_a_span_has_a_unit(span: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["keys", "add", "shop", "--models", "*", f"--expires={span}"])
    assert caught.value.code == 2
    assert "expected a number of days, hours or minutes" in capsys.readouterr().err
