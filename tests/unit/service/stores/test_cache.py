import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.backends.savedmodel.folder import find_versions
from service.errors import GatewayError
from service.stores.cache import Cache
from tests.stores import read, write

URL = "s3://bucket/models"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    cache = Cache(tmp_path / "cache", URL, 10_000)
    yield cache
    cache.close()


def publish(cache: Cache, number: int, mark: str = "0123456789ab", *, size: int = 1000, model: str = "m") -> None:
    write(cache.partial((model, number)), {"saved_model.pb": b"x" * size})
    cache.publish((model, number), mark)


def served(cache: Cache) -> dict[tuple[str, int], bytes]:
    """Returns the model files of the versions that a server finds."""
    return {
        key: (found.folder / "saved_model.pb").read_bytes()
        for key, found in find_versions(cache.folder).versions.items()
    }


def test_a_version_is_there_once_it_is_published_and_not_before(cache: Cache) -> None:
    write(cache.partial(("m", 1)))
    assert served(cache) == {}
    cache.publish(("m", 1), "0123456789ab")
    assert list(served(cache)) == [("m", 1)]
    assert cache.current() == {("m", 1): "0123456789ab"}


def test_all_folders_of_a_version_are_on_the_disk_before_it_is_published(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()

    def fsync(descriptor: int) -> None:
        if not link.is_symlink():
            synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(cache.folder / "m")))

    link = cache.folder / "m" / "1"
    write(cache.partial(("m", 1)))
    monkeypatch.setattr(os, "fsync", fsync)
    cache.publish(("m", 1), "0123456789ab")
    assert link.is_symlink()
    version = ".pulled/1-0123456789ab"
    assert synced == {".pulled", version, f"{version}/variables"}


def test_another_one_takes_its_place_in_one_step(cache: Cache) -> None:
    publish(cache, 1, "aaaaaaaaaaaa", size=10)
    publish(cache, 1, "bbbbbbbbbbbb", size=20)
    assert {key: len(data) for key, data in served(cache).items()} == {("m", 1): 20}
    assert cache.used() == 20
    assert [path.name for path in (cache.folder / "m" / ".pulled").iterdir()] == ["1-bbbbbbbbbbbb"]


def test_what_is_removed_leaves_nothing(cache: Cache) -> None:
    publish(cache, 1)
    cache.remove(("m", 1))
    assert served(cache) == {}
    assert cache.current() == {}
    assert not (cache.folder / "m").exists()


def test_what_was_pulled_in_part_is_gone_with_the_next_start(cache: Cache) -> None:
    publish(cache, 1)
    write(cache.partial(("m", 2)))
    cache.close()
    again = Cache(cache.folder, URL)
    assert again.current() == {("m", 1): "0123456789ab"}
    assert [path.name for path in (cache.folder / "m" / ".pulled").iterdir()] == ["1-0123456789ab"]
    cache._lock = again._lock


def test_room_is_made_by_what_was_pulled_first_and_is_not_kept(cache: Cache) -> None:
    for number in (3, 1, 2):
        publish(cache, number, size=3000)
        os.utime(cache.folder / "m" / str(number), ns=(number * 10**9,) * 2, follow_symlinks=False)
    assert cache.make_room(1000, keep=()) == 1000
    assert cache.make_room(4000, keep=[("m", 1)]) == 4000
    assert set(cache.current()) == {("m", 1), ("m", 3)}
    with pytest.raises(
        GatewayError, match=r"it has 8000 bytes, and there is room for 7000 in .*models_cache_max_bytes"
    ):
        cache.make_room(8000, keep=[("m", 1)])
    assert set(cache.current()) == {("m", 1)}


def test_versions_of_somebody_else_are_left_alone(cache: Cache) -> None:
    write(cache.folder / "m" / "1")
    write(cache.folder / "other" / "5")
    with pytest.raises(GatewayError, match="was not pulled: it is left as it is"):
        publish(cache, 1)
    cache.make_room(10_000, keep=())
    assert set(served(cache)) == {("m", 1), ("other", 5)}
    assert cache.current() == {}
    assert "saved_model.pb" in read(cache.folder / "m" / "1")


def test_a_folder_is_of_one_store_and_one_process(cache: Cache) -> None:
    with pytest.raises(GatewayError, match="another process pulls models into"):
        Cache(cache.folder, URL)
    cache.close()
    with pytest.raises(GatewayError, match=f"holds models of {URL}: expected another folder for those of s3://other"):
        Cache(cache.folder, "s3://other")
    cache._lock = Cache(cache.folder, URL)._lock
