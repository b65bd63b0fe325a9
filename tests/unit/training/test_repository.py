import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from training.errors import PlaceError
from training.manifest import EXTRA, FILE_NAME, write_manifest
from training.repository import check_place, draft, versions


class _Interrupt(BaseException):
    pass


def _tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _publish(models: Path, content: str = "graph", name: str = "model") -> Path:
    with draft(models, name) as open_draft:
        (open_draft.folder / "saved_model.pb").write_text(content)
        return open_draft.publish(lambda version: _seal(open_draft.folder, version))


def _seal(folder: Path, version: int) -> None:
    (folder / "version").write_text(str(version))


def test_versions_count_up_from_one(tmp_path: Path) -> None:
    models = tmp_path / "models"
    assert [_publish(models).name for _ in range(3)] == ["1", "2", "3"]
    assert versions(models, "model") == [1, 2, 3]
    assert (models / "model" / "2" / "version").read_text() == "2"


def test_a_version_that_was_renamed_keeps_its_number(tmp_path: Path) -> None:
    for _ in range(2):
        with draft(tmp_path, "model") as made:
            (made.folder / EXTRA).mkdir()
            second = made.publish(partial(_manifest, made.folder))
    second.rename(second.with_name("bad-2"))
    (second.with_name("odd") / EXTRA).mkdir(parents=True)
    (second.with_name("odd") / EXTRA / FILE_NAME).write_text("[")
    assert versions(tmp_path, "model") == [1]
    assert _publish(tmp_path).name == "3"


def _manifest(folder: Path, version: int) -> None:
    write_manifest(folder, {"version": version})


def test_the_next_version_follows_the_highest_and_other_names_do_not_count(tmp_path: Path) -> None:
    for name in ("7", "08", "latest", "-3", "0", "1.5"):
        (tmp_path / "model" / name).mkdir(parents=True)
    assert _publish(tmp_path).name == "9"


def test_version_zero_is_one_as_servers_have_it(tmp_path: Path) -> None:
    (tmp_path / "model" / "0").mkdir(parents=True)
    assert versions(tmp_path, "model") == [0]
    assert _publish(tmp_path).name == "1"


def test_servers_running_as_another_user_can_read_a_version(tmp_path: Path) -> None:
    assert _publish(tmp_path).stat().st_mode & 0o777 == 0o755


def test_a_draft_lies_where_no_server_looks(tmp_path: Path) -> None:
    with draft(tmp_path, "model") as open_draft:
        assert open_draft.folder.name.startswith(".")
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("stage", ["writing", "sealing"])
@pytest.mark.parametrize("published_before", [False, True])
def test_an_interrupted_run_leaves_everything_as_it_was(tmp_path: Path, stage: str, published_before: bool) -> None:
    models = tmp_path / "models"
    if published_before:
        _publish(models)
    before = _tree(tmp_path)

    def interrupted(_version: int) -> None:
        raise _Interrupt

    with pytest.raises(_Interrupt), draft(models, "model") as open_draft:  # noqa: PT012
        (open_draft.folder / "saved_model.pb").write_text("half")
        if stage == "writing":
            raise _Interrupt
        open_draft.publish(interrupted)
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_a_failing_file_system_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no space left")

    if call == "rename":
        monkeypatch.setattr(Path, "rename", refuse)
    else:
        monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="no space left"):
        _publish(tmp_path / "models")
    assert _tree(tmp_path) == []


def test_concurrent_publishers_each_get_a_version_of_their_own(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    published: dict[str, str] = {}

    def run(number: int) -> None:
        start.wait()
        target = _publish(tmp_path / "models", f"graph {number}")
        published[target.name] = f"graph {number}"

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, published)) == list(range(1, 9))
    for version, content in published.items():
        folder = tmp_path / "models" / "model" / version
        assert (folder / "saved_model.pb").read_text() == content
        assert (folder / "version").read_text() == version
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["model"]


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from training.repository import draft\n"
        f"with draft(Path({str(tmp_path)!r}), 'model') as d: print(d.folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        left = Path(writer.stdout.readline().strip())
        _publish(tmp_path)
        assert left.is_dir()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert left.is_dir()
    _publish(tmp_path)
    assert not left.exists()


def test_a_place_that_can_be_written_to_is_left_as_it_was(tmp_path: Path) -> None:
    models = tmp_path / "new" / "models"
    check_place(models, "model")
    assert _tree(tmp_path) == []
    _publish(models)
    before = _tree(tmp_path)
    check_place(models, "model")
    assert _tree(tmp_path) == before


@pytest.mark.parametrize("file", ["models", "models/model"])
def test_a_file_in_the_place_of_a_folder_is_found_before_training(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("no folder")
    with pytest.raises(PlaceError, match=f"expected a folder, got a file: {tmp_path / file}"):
        check_place(tmp_path / "models", "model")


def test_a_place_where_nobody_may_write_is_named() -> None:
    with pytest.raises(PlaceError, match=r"--models /proc/models: cannot be written to"):
        check_place(Path("/proc/models"), "model")


def test_a_disk_without_room_is_found_before_training(tmp_path: Path) -> None:
    """Files may not become large enough here, which the system says in the same way."""
    script = (
        "import resource; from pathlib import Path; from training.repository import check_place\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        f"check_place(Path({str(tmp_path / 'models')!r}), 'model')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert f"PlaceError: --models {tmp_path / 'models'}: cannot be written to: File too large" in done.stderr
    assert _tree(tmp_path) == []
