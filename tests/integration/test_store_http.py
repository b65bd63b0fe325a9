"""A web server as a store: one that breaks off, lies about lengths, sends elsewhere, and is away."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.commands.main import main
from service.stores import transfer
from tests.store_servers import FileServer, running
from tests.stores import FILES, LARGEST, Mirrored, with_manifest, write

SIZE = sum(map(len, FILES.values()))


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    server = FileServer(tmp_path / "site")
    write(server.folder / "m" / "1")
    index(server)
    with running(server):
        yield server


@pytest.fixture
def mirrored(server: FileServer, tmp_path: Path) -> Iterator[Mirrored]:
    mirrored = Mirrored(server.url, tmp_path / "cache")
    yield mirrored
    mirrored.close()


def index(server: FileServer) -> None:
    assert main(["models", "index", str(server.folder)]) == 0


def test_a_version_is_pulled_and_not_again(server: FileServer, mirrored: Mirrored) -> None:
    assert mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.bytes == SIZE
    [(key, progress)] = mirrored.watcher.begun
    assert key == ("m", 1)
    assert progress.began > 0
    server.requests.clear()
    assert not mirrored.look()
    assert server.requests == ["GET /index.json"]
    assert server.headers["/index.json"]["If-None-Match"]
    assert mirrored.watcher.looks == [True, True]


def test_a_model_that_no_server_can_name_is_told_and_not_pulled(
    server: FileServer, mirrored: Mirrored, caplog: pytest.LogCaptureFixture
) -> None:
    write(server.folder / "model:2" / "1")
    index(server)
    for _ in range(2):
        mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert [key for key, _ in mirrored.watcher.begun] == [("m", 1)]
    [said] = [record.getMessage() for record in caplog.records if "is not pulled" in record.getMessage()]
    assert said.startswith("'model:2' in the store is not pulled: the name of a model has no slash, colon")


def test_a_transfer_that_breaks_goes_on_where_it_was(server: FileServer, mirrored: Mirrored) -> None:
    server.cuts = [0, 2_000_000, 500_000, 1, 0, 100]
    mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.bytes == SIZE
    assert any(path.endswith(LARGEST) and headers["Range"] for path, headers in server.headers.items())


def test_a_transfer_begins_again_where_parts_cannot_be_asked_for(server: FileServer, mirrored: Mirrored) -> None:
    server.ranges = False
    server.cuts = [1000, 2000, 2_000_000]
    mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.bytes == SIZE


def test_a_length_that_is_too_long_does_no_harm(server: FileServer, mirrored: Mirrored) -> None:
    server.lie = 100
    mirrored.look()
    assert mirrored.version("m", 1) == FILES


def test_what_never_comes_whole_is_not_published(server: FileServer, mirrored: Mirrored) -> None:
    server.lie = -100
    assert not mirrored.look()
    assert "ended after" in mirrored.watcher.errors["m", 1]
    assert mirrored.cache.current() == {}
    assert not (mirrored.folder / "m").exists()
    server.lie = 0
    assert mirrored.look()
    assert mirrored.version("m", 1) == FILES


def test_what_is_longer_than_it_should_be_is_not_written(server: FileServer, mirrored: Mirrored) -> None:
    server.tail = b"x" * 5_000_000
    assert not mirrored.look()
    assert "is longer than" in mirrored.watcher.errors["m", 1]
    assert mirrored.version("m", 1) == {}


def test_other_contents_of_the_same_length_are_not_published(server: FileServer, mirrored: Mirrored) -> None:
    (server.folder / "m" / "1" / LARGEST).write_bytes(b"y" * len(FILES[LARGEST]))
    assert not mirrored.look()
    assert "is not what the store says" in mirrored.watcher.errors["m", 1]
    assert mirrored.version("m", 1) == {}
    # It is not transferred again and again; but once what it is has changed.
    before = len(server.requests)
    mirrored.look()
    assert server.requests[before:] == ["GET /index.json"]
    index(server)
    assert mirrored.look()


def test_an_older_version_is_pulled_where_the_newest_is_damaged(server: FileServer, mirrored: Mirrored) -> None:
    write(server.folder / "m" / "2")
    index(server)
    (server.folder / "m" / "2" / "saved_model.pb").write_bytes(b"z" * len(FILES["saved_model.pb"]))
    mirrored.look()
    assert list(mirrored.watcher.errors) == [("m", 2)]
    assert list(mirrored.cache.current()) == [("m", 1)]


def test_a_manifest_is_held_against_the_files_too(server: FileServer, mirrored: Mirrored) -> None:
    published = with_manifest(FILES)
    write(server.folder / "m" / "2", {**published, LARGEST: b"changed before the index was made"})
    index(server)
    mirrored.look()
    assert "is not the file that was published" in mirrored.watcher.errors["m", 2]
    write(server.folder / "m" / "2", published)
    index(server)
    mirrored.look()
    assert mirrored.version("m", 2) == published


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_server_that_is_away_takes_nothing_away(server: FileServer, mirrored: Mirrored, status: int) -> None:
    mirrored.look()
    server.status = status
    for _ in range(3):
        assert not mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.looks == [True, False, False, False]
    server.status = None
    assert not mirrored.look()
    assert mirrored.watcher.looks[-1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 1, "models": {}}',
        '{"format": 2, "models": {"m": {}}}',
        '{"format": 1, "models": {"m": 1}}',
        '{"format": 1, "models": {"m": {"1": {"files": {"saved_model.pb": {"size": -1, "sha256": ""}}}}}}',
        "[" * 100_000,
    ],
)
def test_an_index_that_makes_no_sense_takes_nothing_away(server: FileServer, mirrored: Mirrored, text: str) -> None:
    mirrored.look()
    (server.folder / "index.json").write_text(text)
    assert not mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.looks == [True, False]


def test_what_leaves_the_index_leaves_the_cache_once_the_rest_is_there(server: FileServer, mirrored: Mirrored) -> None:
    write(server.folder / "m" / "2")
    write(server.folder / "other" / "1")
    index(server)
    mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 2), ("other", 1)}
    entries = json.loads((server.folder / "index.json").read_text())
    del entries["models"]["m"]["2"], entries["models"]["other"]
    (server.folder / "index.json").write_text(json.dumps(entries))
    server.cuts = [0] * 100
    assert mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 2)}  # what is wanted instead could not be pulled
    server.cuts = []
    assert mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 1)}
    assert set(mirrored.watcher.left) == {("m", 2), ("other", 1)}


def test_paths_of_an_index_stay_in_the_cache(server: FileServer, mirrored: Mirrored, tmp_path: Path) -> None:
    entries = json.loads((server.folder / "index.json").read_text())
    files = entries["models"]["m"]["1"]["files"]
    files["../../../outside"] = dict(files["saved_model.pb"])
    entries["models"]["../outside"] = {"1": {"files": dict(files)}}
    (server.folder / "index.json").write_text(json.dumps(entries))
    mirrored.look()
    assert "of a file in the store" in mirrored.watcher.errors["m", 1]
    assert mirrored.cache.current() == {}
    assert not list(tmp_path.rglob("outside"))


def test_credentials_come_from_netrc_and_go_nowhere_else(
    server: FileServer, mirrored: Mirrored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.credentials = "me:open sesame"
    mirrored.look()
    assert mirrored.watcher.looks == [False]
    (tmp_path / ".netrc").write_text('machine 127.0.0.1 login me password "open sesame"\n')
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert mirrored.look()
    assert mirrored.version("m", 1) == FILES
    server.moved["/m/2/saved_model.pb"] = "/m/1/saved_model.pb"
    write(server.folder / "m" / "2")
    index(server)
    mirrored.look()
    assert server.headers["/m/2/saved_model.pb"]["Authorization"]
    assert server.headers["/m/1/saved_model.pb"]["Authorization"] is None


def test_nobody_is_sent_to_another_server_without_tls(server: FileServer, mirrored: Mirrored, tmp_path: Path) -> None:
    other = FileServer(server.folder)
    with running(other):
        server.moved["/m/1/saved_model.pb"] = f"{other.url}/m/1/saved_model.pb"
        mirrored.look()
    assert "leads to another server without TLS" in mirrored.watcher.errors["m", 1]
    assert other.requests == []


def test_a_transfer_that_is_given_up_leaves_nothing(server: FileServer, mirrored: Mirrored) -> None:
    mirrored.watcher.on_bytes = mirrored.stop.set
    with pytest.raises(transfer.Stopped):
        mirrored.look()
    assert mirrored.cache.current() == {}
    assert not (mirrored.folder / "m").exists()


def test_what_does_not_fit_is_not_pulled(server: FileServer, tmp_path: Path) -> None:
    mirrored = Mirrored(server.url, tmp_path / "small", max_bytes=SIZE - 1)
    assert not mirrored.look()
    assert "there is room for" in mirrored.watcher.errors["m", 1]
    assert mirrored.watcher.bytes == 0
    mirrored.close()


def test_old_versions_make_room_and_those_that_are_served_do_not(server: FileServer, tmp_path: Path) -> None:
    mirrored = Mirrored(server.url, tmp_path / "small", max_bytes=2 * SIZE + 100)
    for number in (1, 2, 3):
        write(server.folder / "m" / str(number))
        index(server)
        assert mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 2), ("m", 3)}
    mirrored.watcher.in_service = {("m", 2)}
    write(server.folder / "m" / "4")
    index(server)
    assert not mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 2), ("m", 3)}
    mirrored.watcher.in_service = set()
    mirrored.mirror.look(again=True)
    assert set(mirrored.cache.current()) == {("m", 3), ("m", 4)}
    mirrored.close()


def test_what_is_wanted_of_another_model_does_not_make_room(server: FileServer, tmp_path: Path) -> None:
    write(server.folder / "m" / "2")
    index(server)
    mirrored = Mirrored(server.url, tmp_path / "small", policy="latest:2", max_bytes=2 * SIZE + 100)
    mirrored.look()
    write(server.folder / "other" / "1")
    index(server)
    assert not mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 1), ("m", 2)}
    assert "there is room for" in mirrored.watcher.errors["other", 1]
    mirrored.close()


def test_an_older_version_is_pulled_where_the_newest_cannot_be_served(server: FileServer, mirrored: Mirrored) -> None:
    write(server.folder / "m" / "2")
    index(server)
    mirrored.look()
    assert list(mirrored.cache.current()) == [("m", 2)]
    mirrored.watcher.broken = {("m", 2)}
    mirrored.look()
    assert list(mirrored.cache.current()) == [("m", 1), ("m", 2)]
