"""Versions that find no room or cannot be reloaded, as the manager has them: with folders on disk, and no models."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import pytest

from service.backends.registry import MemoryBound
from service.backends.savedmodel import resident as resident_module
from service.backends.savedmodel.memory import Memory
from service.backends.savedmodel.resident import Held, Resident
from service.backends.savedmodel.served_versions import Loading
from service.backends.savedmodel.source import ModelSource
from service.backends.savedmodel.version_manager import VersionManager
from service.core.batch_policy import ServingOptions
from service.core.catalog import Catalog
from service.core.load_progress import LoadProgress
from service.core.model_version import ModelVersion, State
from service.core.versions import VersionPolicy
from service.errors import ErrorKind, GatewayError
from tests.version_folders import empty_version, look, states


class Evicting:
    """A manager of a folder in which the model ``good`` has the version 1, which is evicted when it has been loaded.

    Attributes:
        failures: What the next loads raise.
        reloads: How often a version was loaded that was known.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor) -> None:
        empty_version(folder / "good" / "1")
        self.failures: list[Exception] = []
        self.reloads = 0
        self.memory = Memory(MemoryBound(10**9, 1, 9, Mock()), reload=self._reload_version)
        loading = Loading(pool, self._load, self._reload, self.memory)
        self.manager = VersionManager(ModelSource(folder, VersionPolicy()), catalog=Catalog(), loading=loading)

    async def start(self) -> Resident:
        await self.manager.start()
        resident = self.manager.served.versions["good", 1].handle
        assert isinstance(resident, Resident)
        resident.evict()
        return resident

    async def _reload_version(self, resident: Resident, beside: bool) -> None:
        await self.manager.reload(resident.key, beside=beside)

    async def _load(self, resident: Resident, options: ServingOptions, progress: LoadProgress) -> ModelVersion:
        held = await self._held()
        return ModelVersion(*resident.key, State.AVAILABLE, handle=held)

    async def _reload(self, resident: Resident, options: ServingOptions, progress: LoadProgress) -> Held:
        self.reloads += 1
        return await self._held()

    async def _held(self) -> Held:
        if self.failures:
            raise self.failures.pop(0)
        return Held(Mock(), self.memory.take(1))


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[Evicting]:
    with ThreadPoolExecutor(1) as pool:
        yield Evicting(tmp_path, pool)


async def test_a_version_that_found_no_room_is_forgotten_with_its_files_and_tried_again_while_it_has_some(
    evicting: Evicting, tmp_path: Path
) -> None:
    manager = evicting.manager
    await evicting.start()
    for version in ("2", "3"):
        evicting.failures = [GatewayError(ErrorKind.NOT_READY, "there is no room for it") for _ in range(2)]
        empty_version(tmp_path / "good" / version)
        await look(manager)
        assert states(manager) == {("good", 1): "AVAILABLE", ("good", int(version)): "END there is no room for it"}
        if version == "2":
            shutil.rmtree(tmp_path / "good" / version)
            await look(manager)
            assert states(manager) == {("good", 1): "AVAILABLE"}
    evicting.failures.clear()
    await look(manager)
    assert states(manager) == {("good", 3): "AVAILABLE"}


async def test_a_version_whose_files_are_as_they_were_stays_on_standby_when_a_reload_fails(
    evicting: Evicting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(resident_module, "_FIRST_PAUSE", 20.0)
    resident = await evicting.start()
    for pause, failure, words in (
        (20, ValueError("secret"), "it could not be loaded; the server's log says why"),
        (40, GatewayError(ErrorKind.BACKEND_FAILED, "the disk cannot be read"), "the disk cannot be read"),
    ):
        evicting.failures = [failure]
        for _ in range(3):  # after the first nothing is tried for a while
            with pytest.raises(GatewayError, match=words) as refused:
                await resident.load(10)
            assert refused.value.kind is ErrorKind.NOT_READY
            assert pause - 10 < (refused.value.retry_after or 0) <= pause
            assert not await resident.load_beside()
        resident._paused_until = 0.0  # as it is later
    assert evicting.reloads == 2
    assert caplog.text.count("version 1 of model good could not be loaded again") == 2
    assert states(evicting.manager) == {("good", 1): "AVAILABLE"}
    assert await resident.load(10)


async def test_a_version_that_has_changed_and_cannot_be_loaded_is_not_served_any_more(
    evicting: Evicting, tmp_path: Path
) -> None:
    resident = await evicting.start()
    (tmp_path / "good" / "1" / "saved_model.pb").write_bytes(b"changed")
    evicting.failures = [GatewayError(ErrorKind.BACKEND_FAILED, "it is not a message")]
    assert not await resident.load(10)
    assert states(evicting.manager) == {("good", 1): "END it is not a message"}
    await look(evicting.manager)
    assert states(evicting.manager) == {("good", 1): "END it is not a message"}
