"""Only trusted versions are loaded, with real TensorFlow: what was checked is what is loaded, and what serves stays."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import minisign
import pytest

from service.backends.savedmodel.listing import listed_files
from service.backends.savedmodel.trust import Trust
from service.commands.main import main
from service.core.model_version import State
from tests import savedmodels
from tests.conftest import until
from tests.real_server import RealServer, serving_models

BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
OFTEN = {"poll_seconds": 0.05, "version_policy": "all"}


def states(server: RealServer) -> dict[int, tuple[State, str]]:
    return {entry.version: (entry.state, entry.error) for entry in server.runtime.catalog.versions("shades")}


async def answered(server: RealServer, version: int) -> bool:
    response = await server.rest.post("/api/v1/models/shades/classify", json=BLACK | {"version": version})
    return response.status_code == 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    savedmodels.save_shades(tmp_path / "models" / "shades" / "1")
    return tmp_path / "models"


async def test_an_untrusted_version_is_not_loaded_until_it_is_listed_and_what_serves_stays(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(copies := tmp_path / "copies"))
    copies.mkdir()
    hashes = tmp_path / "trusted.sha256"
    hashes.write_text(listed_files(folder / "shades" / "1", "shades", 1))
    async with serving_models(folder, trusted_hashes=hashes, **OFTEN) as server:
        assert await answered(server, 1)
        assert not list(copies.iterdir())
        shutil.copytree(folder / "shades" / "1", folder / ".new")
        (folder / ".new").rename(folder / "shades" / "2")
        await until(
            lambda: states(server).get(2) == (State.END, "shades/2 is not in trusted_hashes, so it is not trusted")
        )
        assert await answered(server, 1)
        hashes.write_text(hashes.read_text() + listed_files(folder / "shades" / "2", "shades", 2))
        await until(lambda: states(server)[2][0] is State.AVAILABLE)
        assert await answered(server, 2)
        assert not list(copies.iterdir())


async def test_a_version_that_was_tampered_with_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    pair = minisign.KeyPair.generate()
    secret, public = tmp_path / "publisher.key", tmp_path / "publisher.pub"
    secret.write_bytes(bytes(pair.secret_key))
    public.write_bytes(bytes(pair.public_key))
    for number in (2, 3):
        shutil.copytree(folder / "shades" / "1", folder / "shades" / str(number))
    assert main(["trust", *(str(folder / "shades" / number) for number in "123"), "--sign-key", str(secret)]) == 0
    index = folder / "shades" / "2" / "variables" / "variables.index"
    index.write_bytes(index.read_bytes()[:-1] + b"!")
    (folder / "shades" / "3" / "assets" / "sitecustomize.py").write_text("")
    async with serving_models(folder, trusted_key=public, **OFTEN) as server:
        found = states(server)
        assert found[1] == (State.AVAILABLE, "")
        assert await answered(server, 1)
        assert "'variables/variables.index' is not the file in assets.extra/tensorgate.sha256" in found[2][1]
        assert found[3][1] == "'assets/sitecustomize.py' is there, and not in assets.extra/tensorgate.sha256"
        ready = (await server.rest.get("/readyz")).json()
        assert ready["models"]["shades"]["versions"]["2"] == {"state": "END", "error": found[2][1]}


async def test_what_was_checked_is_loaded_though_the_folder_changes_meanwhile(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is swapped for another model's after the check, which nothing could notice afterwards."""
    hashes = tmp_path / "trusted.sha256"
    version = folder / "shades" / "1"
    hashes.write_text(listed_files(version, "shades", 1))
    check = Trust.copy

    def check_and_swap(self: Trust, *given: object) -> None:
        check(self, *given)  # type: ignore[arg-type]
        version.rename(tmp_path / "aside")
        savedmodels.save_steps(version)

    monkeypatch.setattr(Trust, "copy", check_and_swap)
    async with serving_models(folder, trusted_hashes=hashes, poll_seconds=0) as server:
        assert await answered(server, 1)


async def test_a_model_does_what_it_likes_with_the_rights_of_the_server(tmp_path: Path) -> None:
    """Not a promise, but why there is one above: a SavedModel is a program."""
    secret, theirs = tmp_path / "secret", tmp_path / "theirs"
    secret.write_text("of this machine")

    await asyncio.to_thread(savedmodels.save_thief, tmp_path / "models" / "thief" / "1", secret, theirs)
    async with serving_models(tmp_path / "models", poll_seconds=0) as server:
        response = await server.rest.post("/v1/models/thief:predict", json={"instances": [1.0]})
        assert response.status_code == 200
    assert theirs.read_text() == "of this machine"
    theirs.unlink()
    hashes = tmp_path / "trusted.sha256"
    hashes.write_text("")
    async with serving_models(tmp_path / "models", trusted_hashes=hashes, poll_seconds=0) as server:
        response = await server.rest.post("/v1/models/thief:predict", json={"instances": [1.0]})
        assert response.status_code != 200
    assert not theirs.exists()


async def test_what_a_helper_process_loads_again_is_checked_again(folder: Path, tmp_path: Path) -> None:
    hashes = tmp_path / "trusted.sha256"
    hashes.write_text(listed_files(folder / "shades" / "1", "shades", 1))
    async with serving_models(folder, trusted_hashes=hashes, isolated=True, **OFTEN) as server:
        runner: Any = server.runtime._parts.backend._runner  # type: ignore[attr-defined]
        runner._process.kill()
        for state in (State.LOADING, State.AVAILABLE):
            await until(lambda wanted=state: states(server)[1][0] is wanted, seconds=120)  # type: ignore[misc]
        assert await answered(server, 1)
        index = folder / "shades" / "1" / "variables" / "variables.index"
        index.write_bytes(index.read_bytes()[:-1] + b"!")
        runner._process.kill()
        await until(lambda: states(server)[1][0] is State.END, seconds=120)
        assert "'variables/variables.index' is not the file in" in states(server)[1][1]
