"""A models folder that changes while a backend under control serves it, with real TensorFlow."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.backends.registry import BackendOptions
from service.backends.savedmodel.backend import SavedModelBackend
from service.core.bounds import InputBounds
from service.core.catalog import Catalog
from service.core.control import ModelControl
from service.core.model_config import ModelConfig
from service.core.versions import VersionPolicy


class Models:
    """A models folder, and a backend under control."""

    def __init__(self, folder: Path, saved: Path) -> None:
        self.folder, self._saved = folder, saved
        self.catalog = Catalog()

    def publish(self, kind: str, *place: str) -> None:
        """Puts a version of that kind there at once."""
        partial = self.folder.joinpath(".partial")
        shutil.copytree(self._saved / kind, partial)
        (target := self.folder.joinpath(*place)).parent.mkdir(parents=True, exist_ok=True)
        partial.rename(target)

    def spoil(self, *place: str) -> None:
        """Puts a version there that cannot be loaded."""
        (folder := self.folder.joinpath(*place)).mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(b"rubbish")

    def remove(self, *place: str) -> None:
        shutil.rmtree(self.folder.joinpath(*place))

    def config(self, name: str, *place: str, policy: str = "latest", **labels: int) -> ModelConfig:
        return ModelConfig(name, self.folder.joinpath(*place or (name,)), VersionPolicy.parse(policy), labels)

    def states(self, name: str) -> dict[int, str]:
        if name not in self.catalog:
            return {}
        return {entry.version: entry.state.value for entry in self.catalog.versions(name)}

    @asynccontextmanager
    async def served(self, poll_seconds: float = 0) -> AsyncIterator[ModelControl]:
        backend = SavedModelBackend(BackendOptions(self.folder, threads=1, poll_seconds=poll_seconds))
        await backend.start(self.catalog)
        self.catalog.fill_ended()
        bounds = InputBounds()
        yield ModelControl(catalog=self.catalog, backend=backend, allowed=True, root=self.folder, bounds=bounds)
        await backend.close()
