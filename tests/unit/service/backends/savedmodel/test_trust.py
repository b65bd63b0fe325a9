"""Which versions are taken for trusted: by a list of hashes, by a publisher's signature, and what each notices."""

import os
import shutil
import subprocess
from pathlib import Path

import minisign
import pytest

from service.backends.registry import BackendChoiceError, BackendOptions, create_backend
from service.backends.savedmodel.listing import LISTING, SIGNATURE
from service.backends.savedmodel.trust import Trust
from service.commands.main import main
from service.core.load_progress import LoadProgress
from service.errors import GatewayError

FILES = {"saved_model.pb": "graph", "variables/variables.index": "numbers", "assets/words.txt": "a\nb\n"}
KEY = ("shades", 3)


@pytest.fixture
def version(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "shades" / "3"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def pair() -> minisign.KeyPair:
    return minisign.KeyPair.generate()


@pytest.fixture
def secret(tmp_path: Path, pair: minisign.KeyPair) -> Path:
    file = tmp_path / "publisher.key"
    file.write_bytes(bytes(pair.secret_key))
    return file


@pytest.fixture
def public(tmp_path: Path, pair: minisign.KeyPair) -> Path:
    file = tmp_path / "publisher.pub"
    file.write_bytes(bytes(pair.public_key))
    return file


def listed(version: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["trust", str(version), *options]) == 0
    return capsys.readouterr().out


@pytest.fixture
def hashes(tmp_path: Path, version: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    file = tmp_path / "trusted.sha256"
    file.write_text("# of ours\n\n" + listed(version, capsys))
    return file


def loaded_by(trust: Trust | None, folder: Path, target: Path) -> dict[str, str]:
    """Returns what would be loaded, by path."""
    assert trust is not None
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    trust.copy(KEY, folder, target, LoadProgress())
    return {str(path.relative_to(target)): path.read_text() for path in target.rglob("*") if path.is_file()}


def refusal(trust: Trust | None, folder: Path, target: Path) -> str:
    with pytest.raises(GatewayError) as caught:
        loaded_by(trust, folder, target)
    return caught.value.message


def change(folder: Path, what: str) -> None:
    """Does to a version what its publisher has not."""
    if what == "changed":
        (folder / "variables" / "variables.index").write_text("others!")
    elif what == "added":
        (folder / "assets" / "more.txt").write_text("")
    elif what == "missing":
        (folder / "assets" / "words.txt").unlink()
    elif what == "linked":
        (folder / "variables" / "more").symlink_to("/etc/hostname")
    elif what == "piped":
        (folder / "saved_model.pb").unlink()
        os.mkfifo(folder / "saved_model.pb")


NOTICED = {
    "changed": "'variables/variables.index' is not the file in {}: expected ",
    "added": "'assets/more.txt' is there, and not in {}",
    "missing": "'assets/words.txt' is in {}, and not there",
    "linked": "'variables/more' is there, and not in {}",
    "piped": "it could not be copied to be checked: it is not a file",
}


def test_only_what_is_listed_is_loaded(version: Path, hashes: Path, tmp_path: Path) -> None:
    assert loaded_by(Trust.of(hashes, None), version, tmp_path / "copy") == FILES


@pytest.mark.parametrize("what", NOTICED)
def test_a_version_that_is_not_as_listed_is_refused_and_the_file_named(
    version: Path, hashes: Path, tmp_path: Path, what: str
) -> None:
    trust = Trust.of(hashes, None)
    change(version, what)
    assert NOTICED[what].format("trusted_hashes") in refusal(trust, version, tmp_path / "copy")


def test_another_model_or_version_is_not_what_is_listed(version: Path, hashes: Path, tmp_path: Path) -> None:
    trust = Trust.of(hashes, None)
    assert trust is not None
    for key in (("shades", 4), ("tones", 3), ("shade", 3)):
        (tmp_path / "copy").mkdir(exist_ok=True)
        with pytest.raises(GatewayError, match=f"{key[0]}/{key[1]} is not in trusted_hashes"):
            trust.copy(key, version, tmp_path / "copy", LoadProgress())


def test_the_list_is_read_each_time(version: Path, hashes: Path, tmp_path: Path) -> None:
    trust = Trust.of(hashes, None)
    text = hashes.read_text()
    hashes.write_text("")
    assert "is not in trusted_hashes" in refusal(trust, version, tmp_path / "copy")
    hashes.write_text(text)
    assert loaded_by(trust, version, tmp_path / "copy") == FILES


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("abc  shades/3/saved_model.pb", "line 6: expected <sha256>  <model>/<version>/<path>, got 'abc"),
        ("0" * 64 + "  shades/3/saved_model.pb", "two hashes for 'shades/3/saved_model.pb'"),
    ],
)
def test_a_list_that_makes_no_sense_lets_nothing_in(
    version: Path, hashes: Path, tmp_path: Path, line: str, complaint: str
) -> None:
    trust = Trust.of(hashes, None)
    hashes.write_text(hashes.read_text() + line + "\n")
    assert complaint in refusal(trust, version, tmp_path / "copy")


def test_sha256sum_agrees(version: Path, hashes: Path) -> None:
    command = ["sha256sum", "--check", "--quiet", str(hashes)]
    done = subprocess.run(command, cwd=version.parents[1], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_only_what_is_signed_is_loaded(version: Path, secret: Path, public: Path, tmp_path: Path) -> None:
    trust = Trust.of(None, public)
    assert "it is not signed (trusted_key)" in refusal(trust, version, tmp_path / "copy")
    assert main(["trust", str(version), "--sign-key", str(secret)]) == 0
    assert loaded_by(trust, version, tmp_path / "copy") == FILES


@pytest.mark.parametrize("what", NOTICED)
def test_a_version_that_is_not_as_signed_is_refused(
    version: Path, secret: Path, public: Path, tmp_path: Path, what: str
) -> None:
    main(["trust", str(version), "--sign-key", str(secret)])
    change(version, what)
    assert NOTICED[what].format(LISTING) in refusal(Trust.of(None, public), version, tmp_path / "copy")


def test_a_list_that_was_changed_after_it_was_signed_is_refused(
    version: Path, secret: Path, public: Path, tmp_path: Path
) -> None:
    main(["trust", str(version), "--sign-key", str(secret)])
    text = (version / LISTING).read_text()
    (version / LISTING).write_text(text + text.splitlines()[0].replace("words.txt", "more.txt") + "\n")
    change(version, "added")
    assert "is not the signature of trusted_key" in refusal(Trust.of(None, public), version, tmp_path / "copy")
    (version / SIGNATURE).write_text("rubbish")
    assert "is no signature of minisign" in refusal(Trust.of(None, public), version, tmp_path / "copy")


def test_somebody_elses_signature_is_refused(version: Path, public: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(bytes(minisign.KeyPair.generate().secret_key))
    main(["trust", str(version), "--sign-key", str(other)])
    assert "is not the signature of trusted_key" in refusal(Trust.of(None, public), version, tmp_path / "copy")


def test_a_signed_version_is_no_other_version(version: Path, secret: Path, public: Path, tmp_path: Path) -> None:
    main(["trust", str(version), "--sign-key", str(secret)])
    trust = Trust.of(None, public)
    assert trust is not None
    (tmp_path / "copy").mkdir()
    with pytest.raises(GatewayError, match="shades/9 is not in assets"):
        trust.copy(("shades", 9), version, tmp_path / "copy", LoadProgress())


def test_of_list_and_signature_both_must_hold(
    version: Path, hashes: Path, secret: Path, public: Path, tmp_path: Path
) -> None:
    trust = Trust.of(hashes, public)
    assert "it is not signed" in refusal(trust, version, tmp_path / "copy")
    main(["trust", str(version), "--sign-key", str(secret)])
    assert loaded_by(trust, version, tmp_path / "copy") == FILES
    hashes.write_text("")
    assert "is not in trusted_hashes" in refusal(trust, version, tmp_path / "copy")


BY_MINISIGN = {
    "key": (
        "untrusted comment: minisign public key 8EF030EEDF9BF522\n"
        "RWQi9Zvf7jDwjhPbyPgMYU6B6PJaOcqF8597WB4p8uBXKlsEgTZ4qkUp\n"
    ),
    "list": (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  shades/3/assets.extra/tensorgate.sha256\n"
        "eef93e1d14482804277fca0172464032d1a4fdbcc338524059fa1e861454ad4d  shades/3/saved_model.pb\n"
        "f3c7807d475073ba009bf4801b2d934e9f0126cb96dd19a27dbffcae23a7f5a3  shades/3/variables/variables.index\n"
    ),
    "signature": (
        "untrusted comment: signature from minisign secret key\n"
        "RUQi9Zvf7jDwjj3uOBrnPNPEjq3T6ecre9QmR+bdvCVHhC31peddEkWWveSsCgFAzV5+J+Bn+lgO6vUg2FM1L6VbxTMA6mOf7ww=\n"
        "trusted comment: shades 3\n"
        "y3x3jDD7YcILmEgbjW4uSiT9O0DDWWoPA4j7jW/MbBCLDYmdnGW+n7/zCjLCIz6OztpJxnWOxUjDoX7VM64EBg==\n"
    ),
}
"""Made by sha256sum, which listed the list too, and the tool minisign 0.11."""


def test_what_the_tool_has_signed_is_taken(tmp_path: Path) -> None:
    folder, key = tmp_path / "shades" / "3", tmp_path / "tool.pub"
    for name, text in {
        "saved_model.pb": "graph",
        "variables/variables.index": "numbers",
        str(LISTING): BY_MINISIGN["list"],
        str(SIGNATURE): BY_MINISIGN["signature"],
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    key.write_text(BY_MINISIGN["key"])
    assert len(loaded_by(Trust.of(None, key), folder, tmp_path / "copy")) == 2


def test_what_is_no_key_or_no_list_ends_the_start(tmp_path: Path, hashes: Path, secret: Path) -> None:
    for given, complaint in (
        ((None, secret), "trusted_key .*publisher.key: it is no public key of minisign"),
        ((None, tmp_path / "none"), "trusted_key .*none: No such file"),
        ((tmp_path / "none", None), "trusted_hashes .*none: No such file"),
        ((secret, None), "trusted_hashes .*publisher.key, line 1: expected <sha256>"),
    ):
        with pytest.raises(BackendChoiceError, match=complaint):
            Trust.of(*given)
    assert Trust.of(None, None) is None
    options = BackendOptions(tmp_path, threads=1, trusted_hashes=hashes)
    for backend in ("tfserving", "tests.fakes:FakeBackend"):
        with pytest.raises(BackendChoiceError, match="go with the backend savedmodel"):
            create_backend(backend, options)


def test_the_command_asks_for_the_password_of_a_key(
    version: Path, public: Path, tmp_path: Path, pair: minisign.KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    protected = tmp_path / "protected.key"
    pair.secret_key.encrypt("a word")
    protected.write_bytes(bytes(pair.secret_key))
    monkeypatch.setattr("getpass.getpass", lambda prompt: "another")
    assert main(["trust", str(version), "--sign-key", str(protected)]) == 1
    monkeypatch.setattr("getpass.getpass", lambda prompt: "a word")
    assert main(["trust", str(version), "--sign-key", str(protected)]) == 0
    assert loaded_by(Trust.of(None, public), version, tmp_path / "copy") == FILES


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{models}/shades"], "shades: expected the folder of a version, <model>/<number>"),
        (["{models}/shades/4"], "4: No such file"),
        (["{models}/shades/3", "--sign-key", "{models}/none"], "none: No such file"),
        (["{models}/shades/3", "--sign-key", "{models}/shades/3/saved_model.pb"], "saved_model.pb: invalid number of"),
    ],
)
def test_the_command_says_what_is_wrong(
    version: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trust", *(argument.format(models=version.parents[1]) for argument in arguments)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tensorgate: ")
    assert complaint in captured.err


def test_a_model_may_be_served_by_another_name(version: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all("  tones/3/" in line for line in listed(version, capsys, "--model", "tones").splitlines())
