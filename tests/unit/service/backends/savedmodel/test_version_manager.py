"""Versions that come, go and break, as the manager has them: with folders on disk, and nothing that loads."""

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.backends.savedmodel.resident import Held, Resident
from service.backends.savedmodel.served_versions import Loading
from service.backends.savedmodel.source import ModelSource
from service.backends.savedmodel.version_manager import VersionManager
from service.core.batch_policy import ServingOptions
from service.core.catalog import Catalog
from service.core.load_progress import LoadProgress
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.core.versions import VersionPolicy
from tests.version_folders import empty_version, look, states


async def reload(resident: Resident, options: ServingOptions, progress: LoadProgress) -> Held:
    raise AssertionError("nothing is evicted where there is no bound")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[VersionManager]:
    """A manager of a folder in which the model ``good`` has the versions 1 and 2, and ``other`` the version 1."""
    for version in ("good/1", "good/2", "other/1"):
        empty_version(tmp_path / version)

    async def load(resident: Resident, options: ServingOptions, progress: LoadProgress) -> ModelVersion:
        return ModelVersion(*resident.key, State.AVAILABLE)

    with ThreadPoolExecutor(1) as pool:
        source = ModelSource(tmp_path, VersionPolicy(newest=None))
        yield VersionManager(source, catalog=Catalog(), loading=Loading(pool, load, reload))


SERVED = {("good", 1): "AVAILABLE", ("good", 2): "AVAILABLE", ("other", 1): "AVAILABLE"}


async def test_a_version_that_cannot_be_read_is_listed_with_its_error_and_logged_once(
    manager: VersionManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await manager.start()
    (tmp_path / "good" / "3").symlink_to("nowhere")
    with caplog.at_level(logging.WARNING):
        await look(manager)
        await look(manager)
    assert states(manager) == {**SERVED, ("good", 3): "END No such file or directory"}
    assert [record.message for record in caplog.records] == [
        "version 3 of model good cannot be read: No such file or directory"
    ]
    empty_version(tmp_path / "good" / "nowhere")
    await look(manager)
    assert states(manager) == {**SERVED, ("good", 3): "AVAILABLE"}


async def test_odd_things_in_a_served_version_do_not_end_it_and_others_come(
    manager: VersionManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await manager.start()
    (tmp_path / "good" / "2" / "odd").symlink_to("nowhere")
    os.mkfifo(tmp_path / "good" / "1" / "pipe")
    empty_version(tmp_path / "good" / "3")
    empty_version(tmp_path / "other" / "2")
    with caplog.at_level(logging.WARNING):
        await look(manager)
        await look(manager)
    assert states(manager) == {**SERVED, ("good", 3): "AVAILABLE", ("other", 2): "AVAILABLE"}
    assert sorted(record.message for record in caplog.records) == [
        "version 1 of model good cannot be read: pipe is neither a file nor a folder",
        "version 2 of model good: odd cannot be read: No such file or directory",
    ]


async def test_a_served_version_whose_folder_becomes_something_else_is_served(
    manager: VersionManager, tmp_path: Path
) -> None:
    await manager.start()
    for version, target in (("1", "nowhere"), ("2", "2")):
        shutil.rmtree(tmp_path / "good" / version)
        (tmp_path / "good" / version).symlink_to(target)
    await look(manager)
    assert states(manager) == SERVED


async def test_a_model_whose_link_breaks_is_served(manager: VersionManager, tmp_path: Path) -> None:
    (tmp_path / "good").rename(tmp_path / ".good")
    (tmp_path / "good").symlink_to(".good")
    await manager.start()
    assert states(manager) == SERVED
    (tmp_path / ".good").rename(tmp_path / ".away")
    empty_version(tmp_path / "other" / "2")
    await look(manager)
    assert states(manager) == {**SERVED, ("other", 2): "AVAILABLE"}


def test_a_path_that_is_none_keeps_no_other_model_from_being_found(tmp_path: Path) -> None:
    empty_version(tmp_path / "good" / "1")
    configs = [ModelConfig("bad", Path("/a\0b")), ModelConfig("good", tmp_path / "good")]
    scan = ModelSource(tmp_path, VersionPolicy()).listing(configs).scan()
    assert set(scan.versions) == {("good", 1)}
    assert scan.unreadable == {"bad": r"'/a\x00b' is no path"}


async def test_a_swap_of_mounted_folders_brings_its_versions(manager: VersionManager, tmp_path: Path) -> None:
    for release, versions in (("..1", "12"), ("..2", "23")):
        for version in versions:
            empty_version(tmp_path / release / "sales" / version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "sales").symlink_to("..data/sales")
    await manager.start()
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    shutil.rmtree(tmp_path / "..1")
    await look(manager)
    assert states(manager) == {**SERVED, ("sales", 2): "AVAILABLE", ("sales", 3): "AVAILABLE"}


async def test_an_empty_folder_that_is_not_the_one_it_was_changes_nothing(
    manager: VersionManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await manager.start()
    mount_point = tmp_path / "good"
    mount_point.rename(tmp_path / ".mounted")
    mount_point.mkdir()
    await look(manager)
    assert states(manager) == SERVED
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "the model good cannot be read: it is empty, and not the folder that it was: its file system may have been"
        " unmounted"
    ]
    mount_point.rmdir()
    (tmp_path / ".mounted").rename(mount_point)
    empty_version(mount_point / "3")
    await look(manager)
    assert states(manager) == {**SERVED, ("good", 3): "AVAILABLE"}
    for version in "123":
        shutil.rmtree(mount_point / version)  # which is to delete them
    await look(manager)
    assert states(manager) == {("other", 1): "AVAILABLE"}


async def test_a_models_folder_that_was_unmounted_changes_nothing(tmp_path: Path) -> None:
    empty_version(tmp_path / "models" / "good" / "1")

    async def load(resident: Resident, options: ServingOptions, progress: LoadProgress) -> ModelVersion:
        return ModelVersion(*resident.key, State.AVAILABLE)

    for listed in (False, True):
        source = ModelSource(tmp_path / "models", VersionPolicy())
        if listed:
            source = source.listing([ModelConfig("good", tmp_path / "models" / "good")])
        with ThreadPoolExecutor(1) as pool:
            manager = VersionManager(source, catalog=Catalog(), loading=Loading(pool, load, reload))
            await manager.start()
            mount_point = tmp_path / "models" / "good" if listed else tmp_path / "models"
            mount_point.rename(tmp_path / "mounted")
            mount_point.mkdir()
            await look(manager)
            assert states(manager) == {("good", 1): "AVAILABLE"}
            assert "it is empty, and not the folder that it was" in manager.catalog.unserved["good"]
            mount_point.rmdir()
            (tmp_path / "mounted").rename(mount_point)
            await look(manager)
            assert manager.catalog.unserved == {}


async def test_a_swap_has_a_version_that_failed_tried_again(tmp_path: Path) -> None:
    for release in ("..1", "..2"):
        version = empty_version(tmp_path / release / "sales" / "1")
        for path in (version / "saved_model.pb", version):
            os.utime(path, (1, 1))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "sales").symlink_to("..data/sales")

    async def load(resident: Resident, options: ServingOptions, progress: LoadProgress) -> ModelVersion:
        if await asyncio.to_thread(os.path.realpath, resident.found.folder) != str(tmp_path / "..2" / "sales" / "1"):
            raise ValueError
        return ModelVersion(*resident.key, State.AVAILABLE)

    with ThreadPoolExecutor(1) as pool:
        source = ModelSource(tmp_path, VersionPolicy())
        manager = VersionManager(source, catalog=Catalog(), loading=Loading(pool, load, reload))
        await manager.start()
        assert states(manager)["sales", 1].startswith("END")
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await look(manager)
        assert states(manager)["sales", 1] == "AVAILABLE"


async def test_what_is_suspended_loads_and_comes_back_as_it_was_or_is_given_up(
    manager: VersionManager, tmp_path: Path
) -> None:
    await manager.start()
    before = {(version.name, version.version): version for version in manager.served.held()}
    manager.served.suspend()
    await look(manager)  # which changes nothing of it
    assert set(states(manager).values()) == {"LOADING"}
    manager.served.resume(before["good", 1])
    manager.served.give_up(before["good", 2], "it is lost", as_it_is=False)
    manager.served.give_up(before["other", 1], "it ends what loads it", as_it_is=True)
    assert manager.catalog.versions("good")[1] is before["good", 1]
    assert states(manager) == {
        ("good", 1): "AVAILABLE",
        ("good", 2): "END it is lost",
        ("other", 1): "END it ends what loads it",
    }
    await look(manager)
    assert states(manager) == {**SERVED, ("other", 1): "END it ends what loads it"}
    (tmp_path / "other" / "1" / "saved_model.pb").write_bytes(b"mended")
    await look(manager)
    assert states(manager) == SERVED


async def test_a_version_that_was_given_up_is_forgotten_with_its_files(manager: VersionManager, tmp_path: Path) -> None:
    await manager.start()
    [version] = [version for version in manager.served.held() if version.name == "other"]
    manager.served.give_up(version, "it is lost", as_it_is=False)
    shutil.rmtree(tmp_path / "other" / "1")
    await look(manager)
    assert states(manager) == {key: state for key, state in SERVED.items() if key[0] == "good"}
    assert manager.catalog.readiness() == {"good": True}


async def test_each_version_of_a_model_ends_once_when_it_is_unloaded(manager: VersionManager, tmp_path: Path) -> None:
    (tmp_path / "good" / "3").symlink_to("nowhere")
    await manager.start()
    told: list[tuple[int, State]] = []
    manager.catalog.subscribe(lambda version: told.append((version.version, version.state)))
    await manager.unload("good")
    await manager.unload("good")
    assert sorted(told) == [(1, State.END), (2, State.END), (3, State.END)]
    assert all(entry.is_unloaded for entry in manager.catalog.versions("good"))
    manager.retry("good")
    await look(manager)
    assert states(manager) == {**SERVED, ("good", 3): "END No such file or directory"}
