"""What is found in a models folder: whatever odd thing lies there harms its own version at most."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from service.backends.savedmodel import folder as folder_module
from service.backends.savedmodel.folder import FoundVersion, Scan, find_versions
from service.backends.savedmodel.manifest import MANIFEST, verify
from service.codecs.model_config import NOT_A_NAME
from service.core.load_progress import LoadProgress
from service.errors import GatewayError
from tests.version_folders import empty_version


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with the versions 1 and 2 of a model ``good``."""
    for version in "12":
        empty_version(tmp_path / "good" / version)
    return tmp_path


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def write_many(folder: Path) -> None:
    folder.mkdir()
    for number in range(20):
        (folder / str(number)).touch()


def errors(scan: Scan) -> dict[int, str]:
    """Returns the errors of the versions of ``good``."""
    return {version: found.error for (name, version), found in scan.versions.items() if name == "good"}


def of_version(scan: Scan, version: int) -> FoundVersion:
    return scan.versions["good", version]


UNLOADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link that leads nowhere": (lambda place: place.symlink_to("nowhere"), "No such file or directory"),
    "a link to itself": (lambda place: place.symlink_to(place.name), "Too many levels of symbolic links"),
    "a file": (lambda place: place.touch(), "Not a directory"),
    "a pipe": (os.mkfifo, "Not a directory"),
    "a socket": (listen, "Not a directory"),
}


@pytest.mark.parametrize("case", UNLOADABLE)
def test_what_has_the_name_of_a_version_and_is_no_folder_is_that_versions_error(models: Path, case: str) -> None:
    make, why = UNLOADABLE[case]
    make(models / "good" / "3")
    scan = find_versions(models)
    assert errors(scan) == {1: "", 2: "", 3: why}
    assert list(scan.problems()) == [f"version 3 of model good cannot be read: {why}"]


MODEL_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link that leads nowhere": (
        lambda place: place.symlink_to("nowhere"),
        "saved_model.pb cannot be read: No such file or directory",
    ),
    "a link to itself": (
        lambda place: place.symlink_to(place.name),
        "saved_model.pb cannot be read: Too many levels of symbolic links",
    ),
    "a folder": (lambda place: place.mkdir(), "saved_model.pb is not a file"),
    "a pipe": (os.mkfifo, "saved_model.pb is neither a file nor a folder"),
    "a socket": (listen, "saved_model.pb is neither a file nor a folder"),
}


@pytest.mark.parametrize("case", MODEL_FILES)
def test_a_model_file_that_is_none_is_that_versions_error(models: Path, case: str) -> None:
    make, why = MODEL_FILES[case]
    (models / "good" / "3").mkdir()
    make(models / "good" / "3" / "saved_model.pb")
    assert errors(find_versions(models)) == {1: "", 2: "", 3: why}


def test_a_version_may_have_its_graph_as_text(models: Path) -> None:
    (models / "good" / "2" / "saved_model.pb").rename(models / "good" / "2" / "saved_model.pbtxt")
    assert errors(find_versions(models)) == {1: "", 2: ""}


def test_a_pipe_in_a_version_keeps_it_from_being_opened(models: Path) -> None:
    (models / "good" / "2" / "variables").mkdir()
    os.mkfifo(models / "good" / "2" / "variables" / "variables.index")
    assert errors(find_versions(models)) == {1: "", 2: "variables/variables.index is neither a file nor a folder"}


LINKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a link that leads nowhere": (
        lambda place: place.symlink_to("nowhere"),
        "odd cannot be read: No such file or directory",
    ),
    "a link to itself": (
        lambda place: place.symlink_to(place.name),
        "odd cannot be read: Too many levels of symbolic links",
    ),
    "a loop of folders": (lambda place: place.symlink_to("."), ""),
    "a loop through the model": (lambda place: place.symlink_to(".."), ""),
}


@pytest.mark.parametrize("case", LINKS)
def test_odd_links_in_a_version_are_reported_and_do_not_keep_it_from_being_loaded(models: Path, case: str) -> None:
    make, why = LINKS[case]
    make(models / "good" / "2" / "odd")
    scan = find_versions(models)
    assert errors(scan) == {1: "", 2: ""}
    assert list(scan.problems()) == ([f"version 2 of model good: {why}"] if why else [])
    assert find_versions(models) == scan


def test_a_name_that_is_not_utf8_can_be_logged(models: Path) -> None:
    os.symlink("nowhere", os.fsencode(models / "good" / "2") + b"/caf\xe9")  # noqa: PTH211  # not UTF-8
    [problem] = find_versions(models).problems()
    assert problem == "version 2 of model good: caf\\udce9 cannot be read: No such file or directory"


def test_a_version_that_is_linked_to_more_than_any_model_holds_is_not_looked_through(
    models: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_MAX_FILES", 10)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write_many(elsewhere / "many")
    (models / "good" / "2" / "link").symlink_to(elsewhere)
    assert errors(find_versions(models)) == {1: "", 2: "it holds more than 10 files"}


def test_of_many_odd_things_some_are_named(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (models / "good" / "2" / f"odd {number}").symlink_to("nowhere")
    assert len(list(find_versions(models).problems())) == 10
    monkeypatch.setattr(folder_module, "_MAX_FILES", 10)
    assert errors(find_versions(models)) == {1: "", 2: "it holds more than 10 files"}


def test_of_a_version_that_is_there_twice_one_is_taken_and_the_other_reported(models: Path) -> None:
    empty_version(models / "good" / "002")
    scan = find_versions(models)
    assert of_version(scan, 2).folder == models / "good" / "2"
    assert list(scan.problems()) == ["version 2 of model good: the folder 002 is left out for 2"]
    (models / "good" / "01").symlink_to("nowhere")
    (models / "good" / "001").mkdir()
    assert errors(find_versions(models)) == {1: "", 2: ""}


def test_the_one_of_two_that_can_be_read_is_taken(models: Path) -> None:
    empty_version(models / "good" / "003")
    (models / "good" / "3").symlink_to("nowhere")
    assert of_version(find_versions(models), 3).folder == models / "good" / "003"


def test_versions_and_models_may_be_links(models: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    empty_version(elsewhere / "model" / "7")
    (models / "good" / "3").symlink_to(elsewhere / "model" / "7")
    (models / "linked").symlink_to(elsewhere / "model")
    scan = find_versions(models)
    assert set(scan.versions) == {("good", 1), ("good", 2), ("good", 3), ("linked", 7)}
    assert list(scan.problems()) == []


def test_a_swap_of_mounted_folders_is_a_change(tmp_path: Path) -> None:
    for release in ("..2024_1", "..2024_2"):
        empty_version(tmp_path / release / "sales" / "1")
        for path in (tmp_path / release / "sales" / "1" / "saved_model.pb", tmp_path / release / "sales" / "1"):
            os.utime(path, (1, 1))  # nothing but the place tells them apart
    (tmp_path / "..data").symlink_to("..2024_1")
    (tmp_path / "sales").symlink_to("..data/sales")
    before = find_versions(tmp_path)
    assert set(before.versions) == {("sales", 1)}
    assert find_versions(tmp_path) == before
    (tmp_path / "..data.new").symlink_to("..2024_2")
    (tmp_path / "..data.new").rename(tmp_path / "..data")
    assert find_versions(tmp_path).versions["sales", 1] != before.versions["sales", 1]


def test_a_link_in_a_version_that_leads_elsewhere_is_a_change(models: Path) -> None:
    version = models / "good" / "2"
    for name in ("a", "b"):
        (version / name).touch()
        os.utime(version / name, (1, 1))
    (version / "link").symlink_to("a")
    before = of_version(find_versions(models), 2)
    (version / "link").unlink()
    (version / "link").symlink_to("b")
    os.utime(version, ns=(1, version.stat().st_mtime_ns))
    assert of_version(find_versions(models), 2) != before


@pytest.mark.parametrize(
    ("target", "why"),
    [("nowhere", "No such file or directory"), ("odd", "Too many levels of symbolic links")],
)
def test_a_model_that_is_a_broken_link_is_reported_and_the_others_are_found(
    models: Path, target: str, why: str
) -> None:
    (models / "odd").symlink_to(target)
    scan = find_versions(models)
    assert errors(scan) == {1: "", 2: ""}
    assert scan.unreadable == {"odd": why}


def test_a_folder_whose_name_no_request_can_have_is_reported(models: Path) -> None:
    empty_version(models / "a:b" / "1")
    (models / "c:d.txt").touch()
    scan = find_versions(models)
    assert errors(scan) == {1: "", 2: ""}
    assert scan.unreadable == {"'a:b'": NOT_A_NAME}


def test_what_else_lies_beside_models_is_passed_over(models: Path) -> None:
    os.mkfifo(models / "pipe")
    listen(models / "socket")
    (models / "notes.txt").touch()
    (models / "good" / "3.partial").symlink_to("nowhere")
    scan = find_versions(models)
    assert errors(scan) == {1: "", 2: ""}
    assert list(scan.problems()) == []


@pytest.mark.parametrize("method", ["iterdir", "stat"])
@pytest.mark.parametrize("place", ["good/2", "good/2/variables"])
def test_what_may_not_be_read_harms_its_own_version(
    models: Path, monkeypatch: pytest.MonkeyPatch, place: str, method: str
) -> None:
    (models / "good" / "2" / "variables").mkdir()

    def refuse(original: Callable[..., object]) -> Callable[..., object]:
        def refusing(path: Path, **options: bool) -> object:
            if path.is_relative_to(models / place):
                raise PermissionError(13, "Permission denied")
            return original(path, **options)

        return refusing

    monkeypatch.setattr(Path, method, refuse(getattr(Path, method)))
    if method == "iterdir":
        monkeypatch.setattr(os, "scandir", refuse(os.scandir))
    scan = find_versions(models)
    assert errors(scan)[1] == ""
    assert any("version 2 of model good" in problem and "denied" in problem for problem in scan.problems())


@pytest.mark.parametrize("place", ["good/2", "good/2/saved_model.pb", "good/2/variables"])
def test_what_vanishes_between_two_looks_was_never_there(
    models: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (models / "good" / "2" / "variables").mkdir()

    def refuse(method: Callable[..., object]) -> Callable[..., object]:
        def called(path: Path, **options: bool) -> object:
            if path == models / place:
                raise FileNotFoundError(2, "No such file or directory")
            return method(path, **options)

        return called

    monkeypatch.setattr(Path, "stat", refuse(Path.stat))
    monkeypatch.setattr(Path, "iterdir", refuse(Path.iterdir))
    scan = find_versions(models)
    assert errors(scan)[1] == ""
    assert list(scan.problems()) == []


@pytest.mark.parametrize("case", ["a manifest", "a file of it"])
def test_the_check_of_a_manifest_never_waits(tmp_path: Path, case: str) -> None:
    (tmp_path / MANIFEST).parent.mkdir()
    if case == "a manifest":
        os.mkfifo(tmp_path / MANIFEST)
    else:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / MANIFEST).write_text('{"files": {"pipe": ""}}')
    with pytest.raises(GatewayError, match="cannot be read"):
        verify(tmp_path, LoadProgress())


def test_a_manifest_that_leads_nowhere_is_not_none(tmp_path: Path) -> None:
    verify(tmp_path, LoadProgress())
    (tmp_path / MANIFEST).parent.mkdir()
    (tmp_path / MANIFEST).symlink_to("nowhere")
    with pytest.raises(GatewayError, match="cannot be read"):
        verify(tmp_path, LoadProgress())
