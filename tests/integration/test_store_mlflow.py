"""MLflow's model registry as a store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import GatewayError
from service.stores import transfer
from service.stores.urls import open_store
from tests.mlflow_server import MlflowServer
from tests.store_servers import running
from tests.stores import FILES, Mirrored


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowServer]:
    monkeypatch.setattr(transfer, "_FIRST_PAUSE", 0.01)
    registry = MlflowServer()
    with running(registry):
        yield registry


@pytest.fixture
def mirrored(registry: MlflowServer, tmp_path: Path) -> Iterator[Mirrored]:
    mirrored = Mirrored(f"mlflow://{registry.address}/m,other", tmp_path / "cache")
    yield mirrored
    mirrored.close()


def test_versions_that_are_ready_are_pulled(registry: MlflowServer, mirrored: Mirrored) -> None:
    registry.put("m", "1", FILES)
    registry.put("m", "2", FILES)
    registry.put("m", "3", FILES, status="PENDING_REGISTRATION")
    registry.cuts = [1000, 10, 2_000_000]  # the first is of what describes it
    assert mirrored.look()
    assert mirrored.version("m", 2) == FILES
    assert list(mirrored.cache.current()) == [("m", 2)]
    assert not mirrored.look()


def test_another_flavour_and_artefacts_elsewhere_are_refused(registry: MlflowServer, mirrored: Mirrored) -> None:
    registry.put("m", "1", FILES)
    registry.files["0/m1/artifacts/model/MLmodel"] = b"flavors:\n  sklearn:\n    pickled_model: model.pkl\n"
    registry.put("other", "1", FILES)
    registry.uris["other", "1"] = "s3://bucket/1/model?versionId=hush"
    mirrored.look()
    assert "is not of MLflow's flavour TensorFlow" in mirrored.watcher.errors["m", 1]
    assert "the artefacts are at s3://..., and not passed on" in mirrored.watcher.errors["other", 1]
    assert "hush" not in str(mirrored.watcher.errors)


def test_a_folder_that_leads_elsewhere_is_refused(registry: MlflowServer, mirrored: Mirrored, tmp_path: Path) -> None:
    registry.put("m", "1", {**FILES, "../../../../outside": b"x"})
    mirrored.look()
    assert mirrored.cache.current() == {}
    assert not list(tmp_path.rglob("outside"))


def test_a_token_is_that_of_mlflows_variable(
    registry: MlflowServer, mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry.put("m", "1", FILES)
    registry.token = "open-sesame"  # noqa: S105
    mirrored.look()
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "open-sesame")
    assert mirrored.look()
    assert mirrored.watcher.looks == [False, True]
    assert "open-sesame" not in caplog.text


def test_a_registry_that_is_away_or_forgot_takes_nothing_away(registry: MlflowServer, mirrored: Mirrored) -> None:
    registry.put("m", "1", FILES)
    registry.put("other", "1", FILES)
    mirrored.look()
    registry.versions.clear()
    mirrored.look()
    registry.status = 500
    mirrored.look()
    assert set(mirrored.cache.current()) == {("m", 1), ("other", 1)}
    assert mirrored.watcher.looks == [True, False, False]


def test_a_url_names_models() -> None:
    with pytest.raises(GatewayError, match="names no model: expected mlflow://host:port/model"):
        open_store("mlflow://127.0.0.1:1")
