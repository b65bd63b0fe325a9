"""S3 as a store, spoken by moto's server."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.commands.main import main
from service.stores.fsspec_store import FsspecStore
from service.stores.port import MANIFEST
from tests.object_store import SECRET, URL, ObjectStore, object_store
from tests.stores import FILES, LARGEST, Mirrored, with_manifest, write

PUBLISHED = with_manifest(FILES)


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as server:
        yield server


@pytest.fixture
def store(server: ObjectStore) -> Iterator[ObjectStore]:
    server.delete()
    yield server
    server.delete()


@pytest.fixture
def mirrored(store: ObjectStore, tmp_path: Path) -> Iterator[Mirrored]:
    mirrored = Mirrored(URL, tmp_path / "cache")
    yield mirrored
    mirrored.close()


def test_versions_are_pulled_as_the_policy_chooses(store: ObjectStore, tmp_path: Path) -> None:
    for model, version in (("a", 1), ("a", 2), ("a", 11), ("b", 0), ("b", "latest"), ("b", "01"), (".c", 1)):
        store.put(model, version, PUBLISHED)
    store.put("a", 12, {"readme.md": b"no model"})
    store.put("a", 11, {"assets/": b""})  # as consoles make folders
    for policy, expected in {
        "latest": {("a", 11), ("b", 0)},
        "latest:2": {("a", 11), ("a", 2), ("b", 0)},
        "specific:1,2": {("a", 1), ("a", 2)},
        "all": {("a", 1), ("a", 2), ("a", 11), ("b", 0)},
    }.items():
        mirrored = Mirrored(URL, tmp_path / policy, policy=policy)
        assert mirrored.look()
        assert set(mirrored.cache.current()) == expected
        assert mirrored.version("a", max(number for name, number in expected if name == "a")) == PUBLISHED
        assert not mirrored.look()
        mirrored.close()


def test_what_comes_file_by_file_is_taken_once_it_stays_as_it_is(store: ObjectStore, mirrored: Mirrored) -> None:
    store.put("m", 1, FILES)
    assert mirrored.look()
    names = list(FILES)
    store.put("m", 2, {name: FILES[name] for name in names[:2]})
    assert not mirrored.look()
    store.put("m", 2, {names[2]: FILES[names[2]]})
    assert not mirrored.look()
    assert not mirrored.look()
    later = time.monotonic() + 10
    mirrored.mirror._clock = lambda: later
    assert mirrored.look()
    assert mirrored.version("m", 2) == FILES
    assert mirrored.watcher.errors == {}


def test_what_its_manifest_names_is_waited_for(store: ObjectStore, mirrored: Mirrored) -> None:
    store.put("m", 1, PUBLISHED)
    mirrored.look()
    before = mirrored.watcher.bytes
    store.put("m", 2, {name: data for name, data in PUBLISHED.items() if name != LARGEST})
    assert not mirrored.look()
    assert "it may be on its way" in mirrored.watcher.errors["m", 2]
    assert mirrored.watcher.bytes - before == len(PUBLISHED[MANIFEST])
    store.put("m", 2, {LARGEST: PUBLISHED[LARGEST]})
    assert mirrored.look()
    assert mirrored.version("m", 2) == PUBLISHED


def test_a_damaged_version_is_not_published(store: ObjectStore, mirrored: Mirrored) -> None:
    store.put("m", 1, PUBLISHED)
    store.put("m", 2, {**PUBLISHED, LARGEST: b"y" * len(FILES[LARGEST])})
    assert mirrored.look()
    assert "is not the file that was published" in mirrored.watcher.errors["m", 2]
    assert list(mirrored.cache.current()) == [("m", 1)]
    store.put("m", 2, PUBLISHED)
    assert mirrored.look()
    assert mirrored.version("m", 2) == PUBLISHED


def test_a_version_that_changes_is_pulled_again(store: ObjectStore, mirrored: Mirrored) -> None:
    store.put("m", 1, PUBLISHED)
    mirrored.look()
    changed = with_manifest({**FILES, "saved_model.pb": b"another"})
    store.put("m", 1, changed)
    assert mirrored.look()
    assert mirrored.version("m", 1) == changed


def test_what_changes_while_it_is_pulled_is_not_published(store: ObjectStore, mirrored: Mirrored) -> None:
    store.put("m", 1, FILES)
    other = {"variables/variables.index": b"other"}
    mirrored.watcher.on_bytes = lambda: store.put("m", 1, other)
    assert not mirrored.look()
    assert mirrored.cache.current() == {}
    mirrored.watcher.on_bytes = lambda: None
    mirrored.look()
    assert mirrored.version("m", 1) == {**FILES, "variables/variables.index": b"other"}


def test_what_is_deleted_leaves_but_not_everything_at_once(store: ObjectStore, mirrored: Mirrored) -> None:
    for model in ("a", "b"):
        store.put(model, 1, PUBLISHED)
        store.put(model, 2, PUBLISHED)
    mirrored.look()
    store.delete("a/2")
    assert mirrored.look()
    assert set(mirrored.cache.current()) == {("a", 1), ("b", 2)}
    store.delete("b/")
    assert mirrored.look()
    assert set(mirrored.cache.current()) == {("a", 1)}
    store.delete()
    assert not mirrored.look()
    assert mirrored.version("a", 1) == PUBLISHED
    assert not mirrored.watcher.looks[-1]


def test_keys_that_lead_out_of_the_cache_are_refused(store: ObjectStore, mirrored: Mirrored, tmp_path: Path) -> None:
    store.put("m", 1, {**FILES, "../../../../outside": b"x"})
    store.put("../up", 1, FILES)
    mirrored.look()
    assert mirrored.cache.current() == {}
    assert "of a file in the store" in mirrored.watcher.errors["m", 1]
    assert not list(tmp_path.rglob("outside"))
    assert not (tmp_path / "up").exists()


def test_what_is_pushed_can_be_pulled(store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "models" / "m" / "3", PUBLISHED)
    assert main(["models", "push", str(folder), URL]) == 0
    assert main(["models", "push", str(folder), URL]) == 1
    assert "m/3 is in s3://bucket/models already" in capsys.readouterr().err
    assert main(["models", "pull", URL, str(tmp_path / "to"), "--model", "m"]) == 0
    assert (tmp_path / "to" / "m" / "3" / LARGEST).read_bytes() == FILES[LARGEST]


def test_what_makes_it_a_version_is_pushed_last(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "m" / "1", PUBLISHED)
    pushed = FsspecStore(URL)
    put, order = pushed._files.put_file, list[str]()

    def put_and_note(source: str, to: str) -> None:
        order.append(to)
        put(source, to)

    monkeypatch.setattr(pushed._files, "put_file", put_and_note)
    pushed.publish("m", 1, {name: folder / name for name in PUBLISHED})
    assert len(order) == len(PUBLISHED)
    assert [name.partition("/m/1/")[2] for name in order[-2:]] == ["saved_model.pb", MANIFEST]


def test_a_bucket_that_is_not_there_or_does_not_let_in_takes_nothing_away(
    store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    mirrored = Mirrored("s3://no-such-bucket/models", tmp_path / "cache")
    assert not mirrored.look()
    assert mirrored.watcher.looks == [False]
    assert "could not be looked at" in caplog.text
    mirrored.close()
    assert SECRET not in caplog.text


def test_a_store_that_is_away_takes_nothing_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with object_store() as store:
        store.put("m", 1, PUBLISHED)
        mirrored = Mirrored(URL, tmp_path / "cache")
        assert mirrored.look()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
            mirrored.close()
            away = Mirrored(URL, tmp_path / "cache")
            for _ in range(2):
                assert not away.look()
            assert away.watcher.looks == [False, False]
            assert away.version("m", 1) == PUBLISHED
            away.close()
    assert caplog.text.count("could not be looked at") == 1
    assert SECRET not in caplog.text
