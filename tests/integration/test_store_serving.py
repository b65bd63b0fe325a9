"""A server whose models lie in a store: it starts, goes on while the store is away, and starts again then."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.app.lifecycle import Server
from service.app.settings import SettingsError, load
from service.commands.main import main
from service.core.model_version import State
from service.errors import GatewayError
from service.stores import transfer
from tests.conftest import QUICK, until
from tests.object_store import URL, object_store
from tests.processes import server_process
from tests.savedmodels import save_shades
from tests.store_servers import FileServer, running
from tests.stores import with_manifest, write

DARK = {"images": [{"pixels": [[0] * 4] * 4}]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = save_shades(tmp_path_factory.mktemp("saved") / "1")
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return with_manifest(files)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.01)
    server = FileServer(tmp_path / "site")
    with running(server):
        yield server


@asynccontextmanager
async def serving(url: str, cache: Path, **more: Any) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    settings = load(QUICK | {"models": url, "models_cache": cache, "models_poll_seconds": 0.2} | more)
    async with (
        Server(settings) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.rest_port}", timeout=30) as rest,
    ):
        yield server, rest


def publish(site: FileServer, number: int, files: dict[str, bytes]) -> None:
    write(site.folder / "shades" / str(number), files)
    assert main(["models", "index", str(site.folder)]) == 0


def states(server: Server) -> dict[int, State]:
    catalog = server.catalog
    return {entry.version: entry.state for entry in catalog.versions("shades")} if "shades" in catalog else {}


async def answer(rest: httpx.AsyncClient) -> tuple[int, Any]:
    response = await rest.post("/api/v1/models/shades/classify", json=DARK)
    return response.status_code, response.json().get("version")


async def test_versions_are_served_as_they_come_and_while_the_store_is_away(
    model: dict[str, bytes], tmp_path: Path
) -> None:
    with object_store() as store:
        store.put("shades", 1, model)
        async with serving(URL, tmp_path / "cache") as (server, rest):
            await server.ready()
            assert states(server) == {1: State.AVAILABLE}
            store.put("shades", 2, model)
            await until(lambda: states(server) == {2: State.AVAILABLE}, seconds=60)
            metrics = (await rest.get("/metrics")).text
            assert "tensorgate_store_reachable 1.0" in metrics
            assert 'tensorgate_store_pulls_total{outcome="ok"} 2.0' in metrics
            size = sum(map(len, model.values()))
            assert f"tensorgate_store_cache_bytes {2 * size:.1f}" in metrics
            assert f"tensorgate_store_pulled_bytes_total {2 * size:.1f}" in metrics
            store.delete("shades/2")  # it is taken back
            await until(lambda: states(server) == {1: State.AVAILABLE}, seconds=60)
            assert await answer(rest) == (200, 1)


async def test_a_server_starts_with_what_it_has_while_the_store_is_away(
    site: FileServer, model: dict[str, bytes], tmp_path: Path
) -> None:
    publish(site, 1, model)
    async with serving(site.url, tmp_path / "cache") as (server, rest):
        await server.ready()
        site.status = 503
        before = len(site.requests)
        await until(lambda: len(site.requests) > before + 3)
        assert await answer(rest) == (200, 1)
        assert "tensorgate_store_reachable 0.0" in (await rest.get("/metrics")).text
    async with serving(site.url, tmp_path / "cache") as (server, rest):
        await server.ready()
        assert await answer(rest) == (200, 1)
        site.status = None
        publish(site, 2, model)
        await until(lambda: states(server) == {2: State.AVAILABLE}, seconds=60)
        assert await answer(rest) == (200, 2)


async def test_how_far_a_pull_is_can_be_read(site: FileServer, model: dict[str, bytes], tmp_path: Path) -> None:
    publish(site, 1, model)
    site.gate.clear()
    async with serving(site.url, tmp_path / "cache") as (server, rest):

        async def progress() -> dict[str, Any]:
            versions = (await rest.get("/readyz")).json()["models"].get("shades", {}).get("versions", {})
            return dict(versions.get("1", {}).get("progress") or {})

        await until(lambda: states(server) == {1: State.START})
        seen = await progress()
        while not seen.get("done"):
            seen = await progress()
        assert seen["stage"] == "pulling it from its store"
        assert 0 < seen["done"] < seen["total"] == sum(map(len, model.values()))
        assert (await answer(rest))[0] == 503
        site.gate.set()
        await server.ready()
        assert await answer(rest) == (200, 1)


def test_a_process_ends_while_a_store_is_silent(site: FileServer, model: dict[str, bytes], tmp_path: Path) -> None:
    publish(site, 1, model)
    site.gate.clear()
    with server_process("--models", site.url, "--models-cache", str(tmp_path / "cache")) as running:
        while not any(path.startswith("GET /shades/1/") for path in site.requests):
            assert running.process.poll() is None, running.lines
            time.sleep(0.05)
        assert httpx.get(f"{running.rest}/livez", timeout=30).status_code == 200
        assert running.stop() == 0  # which waits half as long as the store is silent
        assert "is stuck; it ends with the process" in running.entries("service.app.followed_store")[-1]["message"]
    site.gate.set()


async def test_what_is_damaged_replaces_nothing_and_is_told(
    site: FileServer, model: dict[str, bytes], tmp_path: Path
) -> None:
    publish(site, 1, model)
    async with serving(site.url, tmp_path / "cache") as (server, rest):
        await server.ready()
        publish(site, 2, {**model, "saved_model.pb": b"damaged"})
        await until(lambda: states(server).get(2) is State.END)
        assert states(server)[1] is State.AVAILABLE
        body = (await rest.get("/readyz")).json()
        error = body["models"]["shades"]["versions"]["2"]["error"]
        assert "'saved_model.pb' is not the file that was published" in error
        publish(site, 2, model)
        await until(lambda: states(server) == {2: State.AVAILABLE}, seconds=60)


async def test_what_is_whole_and_cannot_be_served_gives_way_to_an_older_one(
    site: FileServer, model: dict[str, bytes], tmp_path: Path
) -> None:
    publish(site, 1, model)
    publish(site, 2, with_manifest({"saved_model.pb": b"no model"}))
    async with serving(site.url, tmp_path / "cache") as (server, rest):
        await until(lambda: states(server) == {1: State.AVAILABLE, 2: State.END}, seconds=60)
        assert await answer(rest) == (200, 1)


async def test_a_look_is_to_be_had_at_once(site: FileServer, model: dict[str, bytes], tmp_path: Path) -> None:
    publish(site, 1, model)
    async with serving(site.url, tmp_path / "cache", models_poll_seconds=0, poll_seconds=0) as (server, _):
        await server.ready()
        publish(site, 2, model)
        await server.look()
        assert states(server) == {2: State.AVAILABLE}


async def test_only_what_is_trusted_is_loaded_from_a_store_too(
    site: FileServer, model: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(site, 1, model)
    capsys.readouterr()
    assert main(["trust", str(site.folder / "shades" / "1")]) == 0
    (tmp_path / "trusted").write_text(capsys.readouterr().out)
    async with serving(site.url, tmp_path / "cache", trusted_hashes=tmp_path / "trusted") as (server, _):
        await server.ready()
        publish(site, 2, model)
        await until(lambda: states(server).get(2) is State.END)
        assert states(server)[1] is State.AVAILABLE
        assert "not in trusted_hashes" in server.catalog.versions("shades")[0].error


def test_what_does_not_go_with_a_store_is_refused(tmp_path: Path) -> None:
    for more, words in (
        ({"backend": "tfserving"}, "a folder as models beside the backend tfserving"),
        ({"model_config_file": tmp_path / "x"}, "a folder as models beside model_config_file"),
        ({"models": "ftp://x"}, "models: expected a folder, or a URL that begins with s3://"),
    ):
        with pytest.raises(SettingsError, match=words):
            load({"models": URL} | more)
    with pytest.raises(GatewayError, match="is no repository"):
        Server(load(QUICK | {"models": "oci://127.0.0.1:1/NO", "models_cache": tmp_path}))
