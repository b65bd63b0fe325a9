import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.access.key_file import add_key, read_document, remove_key
from service.access.keys import new_key
from service.access.policy import KeyEntry
from service.errors import ErrorKind, GatewayError

BY_HAND = """\
# Who may ask.

[[tokens]]  # of the issuer
claims = {groups = "data"}
models = ["*"]
actions = ["read"]
"""


def entry(name: str = "shop", models: tuple[str, ...] = ("digits*",)) -> KeyEntry:
    key, now = new_key(), datetime.now(UTC).replace(microsecond=0)
    fields = {"id": key.id, "name": name, "sha256": key.digest.hex(), "created": now}
    return KeyEntry.model_validate({**fields, "models": list(models), "actions": ["infer", "read"]})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.toml"


def test_keys_come_and_go_and_all_else_stays(file: Path) -> None:
    file.write_text(BY_HAND)
    one, two, three = entry(), entry('a "quoted" é 😀\\'), entry(models=("a", "b[0-9]"))
    for key in (one, two, three):
        add_key(file, key)
    file.write_text(file.read_text() + '\n[[certificates]]\nname = "x"\nmodels = ["*"]\nactions = ["infer"]\n')
    assert read_document(file).keys == [one, two, three]
    assert remove_key(file, two.id) == two
    assert read_document(file).keys == [one, three]
    remove_key(file, three.id)
    remove_key(file, one.id)
    assert file.read_text().startswith(BY_HAND)
    assert len(read_document(file).certificates) == 1


def test_its_owner_alone_can_read_it_and_who_else_could_still_can(file: Path) -> None:
    add_key(file, entry())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    add_key(file, entry())
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file.symlink_to(tmp_path / "real" / "access.toml")
    (tmp_path / "real" / "access.toml").touch()
    add_key(file, entry())
    assert file.is_symlink()
    assert len(read_document(tmp_path / "real" / "access.toml").keys) == 1


def test_several_at_a_time_lose_none(file: Path) -> None:
    threads = [threading.Thread(target=add_key, args=(file, entry())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_document(file).keys) == 20
    assert os.listdir(file.parent) == [file.name]  # noqa: PTH208


def test_what_is_written_in_another_way_is_left_to_people(file: Path) -> None:
    add_key(file, one := entry())
    add_key(file, two := entry())
    text = file.read_text()
    before = text.replace("[[keys]]", "[[ keys ]]", 1)
    file.write_text(before)
    with pytest.raises(GatewayError, match="change it by hand"):
        remove_key(file, one.id)
    assert file.read_text() == before
    assert read_document(file).keys == [one, two]


@pytest.mark.parametrize(
    ("text", "kind"), [(None, ErrorKind.MALFORMED), ("[[keys", ErrorKind.MALFORMED), ("", ErrorKind.NOT_FOUND)]
)
def test_what_cannot_be_taken_back_says_why(file: Path, text: str | None, kind: ErrorKind) -> None:
    if text is not None:
        file.write_text(text)
    with pytest.raises(GatewayError) as caught:
        remove_key(file, "0123456789ab")
    assert caught.value.kind is kind


def test_a_file_that_makes_no_sense_is_not_made_worse(file: Path) -> None:
    file.write_text("[[keys")
    with pytest.raises(GatewayError, match="it is not TOML"):
        add_key(file, entry())
    assert file.read_text() == "[[keys"


def test_comments_after_a_key_that_goes_stay(tmp_path: Path) -> None:
    file = tmp_path / "access.toml"
    table = '[[keys]]\nid = "{}"\nname = "shop"\nsha256 = "{}"\nmodels = ["*"]\nactions = ["infer"]\ncreated = {}\n'
    made = [table.format(f"{number:012x}", "0" * 64, "2026-01-01T00:00:00Z") for number in (1, 2)]
    file.write_text(f"# ours\n\n{made[0]}\n# of team X\n{made[1]}\n# the end\n# [[tokens]]\n")
    remove_key(file, f"{1:012x}")
    remove_key(file, f"{2:012x}")
    assert file.read_text().split("\n") == ["# ours", "", "# of team X", "", "# the end", "# [[tokens]]", ""]
