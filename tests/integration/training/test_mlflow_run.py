"""Runs that are noted in MLflow are read back with its own client."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("mlflow")

from mlflow import MlflowClient

from training.display import Display
from training.errors import PublicationRefusedError, TrainingError
from training.mlflow_run import mlflow_run

ASKED = {
    "family": "forecaster",
    "--epochs": 5,
    "--column": ["wave", "driver"],
    "--window": None,
    "tensorflow": "2.21.0",
}
FACTS = {
    "metrics": {"mae_one_step": 1.5, "coverage": {"80 %": 0.75}, "baselines": {"AR(9)": {"mae_one_step": 2.0}}},
    "data": {"name": "wave", "sha256": "abc"},
}


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return (tmp_path / "mlruns").as_uri()


def only_run(uri: str) -> Any:
    client = MlflowClient(tracking_uri=uri)
    [experiment] = [each for each in client.search_experiments() if each.name == "wave"]
    [run] = client.search_runs([experiment.experiment_id])
    return client, run


def quiet() -> Display:
    return Display(Console(file=io.StringIO()))


def test_what_was_asked_reached_and_published_can_be_read_back(uri: str, tmp_path: Path) -> None:
    version = tmp_path / "models" / "wave" / "3"
    (version / "assets.extra").mkdir(parents=True)
    manifest = {
        "version": 3,
        "weights_sha256": "def",
        "files": {"saved_model.pb": "123"},
        "evaluation": {"gate": "passed"},
    }
    for name, text in {"tensorgate.json": json.dumps(manifest), "model_card.md": "# wave", "plot.png": "x"}.items():
        (version / "assets.extra" / name).write_text(text)
    (version / "assets.extra" / "trained_on.npy").write_bytes(bytes(10))
    with mlflow_run(uri, "wave", ASKED, quiet()) as noted:
        noted.measured(FACTS, {"training": {"val_loss": [0.5, 0.25]}, "training on both parts": {"loss": [0.1]}})
        noted.published(version)
    client, run = only_run(uri)
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "family": "forecaster", "epochs": "5", "column": "wave, driver", "tensorflow": "2.21.0",
    }  # fmt: skip
    assert run.data.metrics == {
        "mae_one_step": 1.5,
        "coverage/80 _": 0.75,
        "baselines/AR_9_/mae_one_step": 2.0,
        "val_loss": 0.25,
        "training on both parts/loss": 0.1,
    }
    history = client.get_metric_history(run.info.run_id, "val_loss")
    assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 0.25)]
    tags = {name.removeprefix("tensorgate."): value for name, value in run.data.tags.items()}
    assert tags["path"] == str(version)
    assert [tags[name] for name in ("version", "weights_sha256", "saved_model_sha256", "gate", "data.sha256")] == [
        "3", "def", "123", "passed", "abc",
    ]  # fmt: skip
    artefacts = {item.path for item in client.list_artifacts(run.info.run_id, "report")}
    assert artefacts == {"report/model_card.md", "report/plot.png", "report/tensorgate.json"}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (PublicationRefusedError("not published: worse"), "FAILED", "not published: worse"),
        (KeyboardInterrupt(), "KILLED", "interrupted"),
    ],
)
def test_a_run_that_publishes_nothing_says_why(uri: str, error: BaseException, status: str, reason: str) -> None:
    def refused() -> None:
        with mlflow_run(uri, "wave", ASKED, quiet()):
            raise error

    with pytest.raises(type(error)):
        refused()
    _, run = only_run(uri)
    assert (run.info.status, run.data.tags["tensorgate.reason"]) == (status, reason)


def test_a_store_that_cannot_be_used_is_told_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(TrainingError, match="MLflow at"),
        mlflow_run((tmp_path / "file").as_uri(), "wave", ASKED, quiet()),
    ):
        pass


def test_a_store_that_is_lost_costs_the_record_alone(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()

    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError("nobody answers")

    with mlflow_run(uri, "wave", ASKED, Display(Console(file=said, width=200))) as noted:
        monkeypatch.setattr(MlflowClient, "log_batch", gone)
        noted.measured(FACTS, {})
    assert "the record in MLflow is not complete: nobody answers" in said.getvalue()
