"""Which models replicas are asked for."""

from pathlib import Path

import pytest

from service.backends.registry import BackendOptions
from service.backends.tfserving.configuration import Configuration


async def test_a_folder_that_may_not_be_looked_at_does_not_hide_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "hidden", "z"):
        (tmp_path / name).mkdir()
    original = Path.is_dir

    def is_dir(path: Path) -> bool:
        if path.name == "hidden":
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    configuration = Configuration(BackendOptions(models=tmp_path, threads=1))
    await configuration.refresh()
    assert configuration.names == ("a", "z")
