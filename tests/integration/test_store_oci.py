"""A registry of containers as a store."""

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import oras.client
import pytest

from service.commands.main import main
from service.errors import GatewayError
from service.stores import transfer
from service.stores.urls import open_store
from tests.store_servers import Registry, running
from tests.stores import FILES, LARGEST, Mirrored, digest_of, write

SIZE = sum(map(len, FILES.values()))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.01)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    with running(registry):
        yield registry


@pytest.fixture
def mirrored(registry: Registry, tmp_path: Path) -> Iterator[Mirrored]:
    mirrored = Mirrored(f"oci://{registry.address}/space/m,other", tmp_path / "cache")
    yield mirrored
    mirrored.close()


def tar(files: dict[str, bytes], mode: Literal["w:gz", "w:xz"] = "w:gz") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def log_in(registry: Registry, home: Path, password: str) -> None:
    """Writes what ``docker login`` does."""
    entry = {"auths": {registry.address: {"auth": base64.b64encode(f"me:{password}".encode()).decode()}}}
    (home / ".docker").mkdir(exist_ok=True)
    (home / ".docker" / "config.json").write_text(json.dumps(entry))


def test_tags_that_are_numbers_are_versions(registry: Registry, mirrored: Mirrored) -> None:
    for tag in ("1", "2", "10", "latest", "v3", "04"):
        registry.put_files("space/m", tag)
    assert mirrored.look()
    assert mirrored.version("m", 10) == FILES
    assert list(mirrored.cache.current()) == [("m", 10)]
    registry.requests.clear()
    assert not mirrored.look()
    assert [asked for asked in registry.requests if "blobs" in asked] == []


def test_a_repository_that_is_not_there_harms_no_other(registry: Registry, mirrored: Mirrored) -> None:
    registry.put_files("space/m", "1")
    registry.put_files("space/other", "1")
    mirrored.look()
    del registry.manifests["space/m"]
    registry.put_files("space/other", "2")
    assert mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 1), ("other", 1), ("other", 2)}


def test_a_tar_is_unpacked(registry: Registry, mirrored: Mirrored) -> None:
    layer = tar({f"3/{name}": data for name, data in FILES.items()})
    registry.put("space/m", "3", [(layer, "application/vnd.oci.image.layer.v1.tar+gzip", "3")])
    registry.put("space/other", "1", [(layer[:-99], "application/vnd.docker.image.rootfs.diff.tar.gzip", "")])
    mirrored.look()
    assert mirrored.version("m", 3) == FILES
    assert "it is no archive, or a damaged one" in mirrored.watcher.errors["other", 1]


def test_a_folder_that_oras_pushed_can_be_pulled(registry: Registry, mirrored: Mirrored, tmp_path: Path) -> None:
    folder = write(tmp_path / "exported" / "3")
    client = oras.client.OrasClient(insecure=True)
    client.push(target=f"{registry.address}/space/m:3", files=[str(folder)], disable_path_validation=True)
    assert mirrored.look()
    assert mirrored.version("m", 3) == FILES


def test_a_tar_that_leads_out_of_its_folder_is_refused(registry: Registry, mirrored: Mirrored, tmp_path: Path) -> None:
    layer = tar({**FILES, "../../../outside": b"x"})
    registry.put("space/m", "1", [(layer, "application/vnd.oci.image.layer.v1.tar+gzip", "")])
    mirrored.look()
    assert "one of dots" in mirrored.watcher.errors["m", 1]
    assert not list(tmp_path.rglob("outside"))
    assert mirrored.cache.current() == {}


def test_a_title_that_leads_out_of_its_folder_is_refused(
    registry: Registry, mirrored: Mirrored, tmp_path: Path
) -> None:
    registry.put_files("space/m", "1", {**FILES, "../../../outside": b"x"})
    mirrored.look()
    assert "one of dots" in mirrored.watcher.errors["m", 1]
    assert not list(tmp_path.rglob("outside"))


def test_a_transfer_that_breaks_goes_on_where_it_was(registry: Registry, mirrored: Mirrored) -> None:
    registry.put_files("space/m", "1")
    registry.cuts = [2_000_000, 1, 0, 100]
    mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.bytes == SIZE


def test_contents_are_what_their_digests_say(registry: Registry, mirrored: Mirrored) -> None:
    registry.put_files("space/m", "1")
    registry.blobs[digest_of(FILES[LARGEST])] = b"y" * len(FILES[LARGEST])
    mirrored.look()
    assert "is not what the store says" in mirrored.watcher.errors["m", 1]
    assert mirrored.cache.current() == {}


def test_what_is_no_version_is_refused(registry: Registry, mirrored: Mirrored) -> None:
    registry.put("space/m", "1", [(b"x", "text/plain", "readme.md")])
    registry.put("space/other", "1", [(b"x", "text/plain", "")])
    mirrored.look()
    assert "there is no saved_model.pb among its files" in mirrored.watcher.errors["m", 1]
    registry.put_files("space/m", "1")
    del registry.manifests["space/other"]
    assert mirrored.look()


def test_a_damaged_archive_keeps_no_other_model_from_being_pulled(registry: Registry, mirrored: Mirrored) -> None:
    layer = bytearray(tar(FILES, "w:xz"))
    layer[len(layer) // 2] ^= 0xFF
    registry.put("space/m", "1", [(bytes(layer), "application/vnd.oci.image.layer.v1.tar", "")])
    registry.put_files("space/other", "1")
    assert mirrored.look()
    assert mirrored.version("other", 1) == FILES
    assert "it is no archive, or a damaged one" in mirrored.watcher.errors["m", 1]
    registry.requests.clear()
    mirrored.look()
    assert [asked for asked in registry.requests if "blobs" in asked] == []  # it is tried again later


def test_a_version_that_cannot_be_described_is_told_once(
    registry: Registry, mirrored: Mirrored, caplog: pytest.LogCaptureFixture
) -> None:
    registry.put_files("space/m", "1")
    registry.manifests["space/m"]["1"] = b'{"manifests": []}'  # an index of several
    for _ in range(3):
        mirrored.look()
    assert "has no layers" in mirrored.watcher.errors["m", 1]
    assert mirrored.watcher.failures == [("m", 1)]
    mirrored.mirror.look(again=True)
    assert mirrored.watcher.failures == [("m", 1)] * 2
    assert caplog.text.count("version 1 of model m could not be pulled") == 2


def test_each_pull_that_fails_is_told(registry: Registry, mirrored: Mirrored, caplog: pytest.LogCaptureFixture) -> None:
    registry.put_files("space/m", "1")
    registry.lie = -100
    for _ in range(2):
        mirrored.look()
    assert mirrored.watcher.failures == [("m", 1)] * 2
    assert caplog.text.count("version 1 of model m could not be pulled") == 1


def test_what_is_pushed_can_be_pulled(registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"oci://{registry.address}/space/m"
    folder = write(tmp_path / "models" / "m" / "4")
    assert main(["models", "push", str(folder), url]) == 0
    assert main(["models", "pull", url, str(tmp_path / "to")]) == 0
    assert capsys.readouterr().out == "m/4\nm/4\n"
    for name, data in FILES.items():
        assert (tmp_path / "to" / "m" / "4" / name).read_bytes() == data
    manifest = json.loads(registry.manifests["space/m"]["4"])
    assert manifest["artifactType"] == "application/vnd.tensorgate.savedmodel.v1"
    assert main(["models", "push", str(folder), url]) == 1
    assert "m/4 is in oci://" in capsys.readouterr().err
    assert main(["models", "push", str(folder), f"oci://{registry.address}/space/other"]) == 1
    # What the registry has is not sent again.
    registry.requests.clear()
    assert main(["models", "push", str(write(tmp_path / "models" / "m" / "5")), url]) == 0
    assert [asked for asked in registry.requests if asked.startswith("POST")] == []


def test_credentials_are_those_of_docker_and_are_not_told(
    registry: Registry, mirrored: Mirrored, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.credentials = "me:open-sesame"
    registry.put_files("space/m", "1")
    caplog.set_level("DEBUG")
    mirrored.look()
    assert mirrored.watcher.looks == [False]
    log_in(registry, tmp_path, "wrong-sesame")
    mirrored.look()
    assert mirrored.watcher.looks == [False, False]
    log_in(registry, tmp_path, "open-sesame")
    assert mirrored.look()
    assert mirrored.version("m", 1) == FILES
    folder = write(tmp_path / "models" / "m" / "2")
    assert main(["models", "push", str(folder), f"oci://{registry.address}/space/m"]) == 0
    for secret in ("sesame", registry.token, base64.b64encode(b"me:open-sesame").decode()):
        assert secret not in caplog.text
    assert "401" in caplog.text


def test_credentials_may_be_renewed_and_sent_without_a_token(
    registry: Registry, mirrored: Mirrored, tmp_path: Path
) -> None:
    registry.put_files("space/m", "1")
    registry.credentials, registry.token = "me:first", ""
    log_in(registry, tmp_path, "first")
    assert mirrored.look()
    registry.credentials = "me:second"
    mirrored.look()
    log_in(registry, tmp_path, "second")
    registry.put_files("space/m", "2")
    assert mirrored.look()
    assert mirrored.watcher.looks == [True, False, True]


@pytest.mark.parametrize("path", ["space/UPPER", "space/../m", "a//b", "space/m:1", ""])
def test_what_is_no_repository_is_refused(path: str) -> None:
    with pytest.raises(GatewayError, match="is no repository"):
        open_store(f"oci://127.0.0.1:1/{path}")


def test_a_registry_that_is_away_takes_nothing_away(registry: Registry, mirrored: Mirrored) -> None:
    registry.put_files("space/m", "1")
    mirrored.look()
    registry.status = 500
    assert not mirrored.look()
    assert mirrored.version("m", 1) == FILES
    assert mirrored.watcher.looks == [True, False]
