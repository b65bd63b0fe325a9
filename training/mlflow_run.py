"""Notes a training as a run of MLflow: what was asked for, figures per epoch, the report, and where the version is."""

import contextlib
import datetime
import getpass
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from training.display import Display
from training.errors import PublicationRefusedError, TrainingError
from training.manifest import EXTRA, read_manifest

_MOST_METRICS = 1000  # that MLflow takes at once
_MOST_CHARACTERS = 6000  # of a parameter
_REPORT = ("*.md", "*.json", "*.png")
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # by default it tries for minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ALLOW_FILE_STORE": "true",  # MLflow advises against folders; who names one wants one
    "GIT_PYTHON_REFRESH": "quiet",
}


class MlflowRun:
    """One run of an experiment. A server that is lost on the way costs the record, and not the model."""

    def __init__(self, client: Any, run: str, display: Display) -> None:
        self._client = client
        self._run = run
        self._display = display
        self._lost = False

    def measured(self, facts: Mapping[str, Any], histories: Mapping[str, Mapping[str, list[float]]]) -> None:
        """Notes what a model reaches on the test part, and the figures of each epoch.

        Args:
            facts: the entries of its manifest.
            histories: by the name of a training, per epoch and by name.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        figures = {**facts.get("metrics", {}), **({"weights": facts["weights"]} if "weights" in facts else {})}
        found = [Metric(_key(name), value, now, 0) for name, value in _numbers(figures)]
        for phase, history in histories.items():
            prefix = "" if phase == "training" else f"{phase}/"
            found += [
                Metric(_key(prefix + name), value, now, epoch)
                for name, values in history.items()
                for epoch, value in enumerate(values, start=1)
            ]

        def note() -> None:
            for start in range(0, len(found), _MOST_METRICS):
                self._client.log_batch(self._run, metrics=found[start : start + _MOST_METRICS])
            data = facts.get("data", {})
            for name in ("name", "sha256"):
                self._client.set_tag(self._run, f"tensorgate.data.{name}", str(data.get(name)))

        self._attempt(note)

    def published(self, version: Path) -> None:
        """Notes a version: its path, its hashes, and its report as artefacts."""
        manifest = read_manifest(version) or {}
        tags = {
            "version": manifest.get("version"),
            "path": version.resolve(),
            "weights_sha256": manifest.get("weights_sha256"),
            "saved_model_sha256": manifest.get("files", {}).get("saved_model.pb"),
            "gate": manifest.get("evaluation", {}).get("gate"),
        }

        def note() -> None:
            for name, value in tags.items():
                self._client.set_tag(self._run, f"tensorgate.{name}", str(value))
            for pattern in _REPORT:
                for file in sorted((version / EXTRA).glob(pattern)):
                    self._client.log_artifact(self._run, str(file), "report")

        self._attempt(note)

    def end(self, status: str, reason: str = "") -> None:
        """Ends it: FINISHED, FAILED or KILLED, with the reason."""

        def note() -> None:
            if reason:
                self._client.set_tag(self._run, "tensorgate.reason", reason[:_MOST_CHARACTERS])
            self._client.set_terminated(self._run, status)

        self._attempt(note)

    def _attempt(self, note: Callable[[], None]) -> None:
        if self._lost:
            return
        try:
            note()
        except Exception as error:  # whatever a store raises, the model is trained
            self._lost = True
            self._display.warning(f"the record in MLflow is not complete: {_first_line(error)}")


@contextlib.contextmanager
def mlflow_run(uri: str, name: str, asked: Mapping[str, Any], display: Display) -> Iterator[MlflowRun]:
    """Opens a run in the experiment that MLFLOW_EXPERIMENT_NAME says, else in that of the model's name.

    Args:
        uri: of a server or a folder, as MLflow has it.
        name: of the model.
        asked: options and releases by name, the run's parameters.
        display: shows the run, and what becomes of it.

    Raises:
        TrainingError: MLflow cannot be reached, or refuses.
    """
    for variable, value in _SETTINGS.items():
        os.environ.setdefault(variable, value)
    from mlflow import MlflowClient
    from mlflow.entities import Param

    title = os.environ.get("MLFLOW_EXPERIMENT_NAME", name)
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(title)
        number = client.create_experiment(title) if experiment is None else experiment.experiment_id
        tags = {
            "mlflow.runName": f"{name} {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S}",
            "mlflow.source.name": "tensorgate train",
            "mlflow.user": _user(),
            "tensorgate.model": name,
            "tensorgate.kind": str(asked.get("family")),
        }
        run = client.create_run(number, tags=tags).info.run_id
        params = {option.removeprefix("--"): _text(value) for option, value in asked.items() if value is not None}
        client.log_batch(run, params=[Param(option, value) for option, value in params.items()])
    except Exception as error:  # MLflow's own, those of HTTP, of URLs, of files
        raise TrainingError(f"MLflow at {uri}: {_first_line(error)}") from error
    display.note(f"Noting this as run {run} of the experiment {title} in MLflow")
    noted = MlflowRun(client, run, display)
    try:
        yield noted
    except KeyboardInterrupt:
        noted.end("KILLED", "interrupted")
        raise
    except PublicationRefusedError as refusal:
        noted.end("FAILED", str(refusal))
        raise
    except BaseException as error:
        noted.end("FAILED", _first_line(error))
        raise
    noted.end("FINISHED")


def _numbers(entry: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """The finite numbers in nested mappings, by path."""
    if isinstance(entry, Mapping):
        for name, value in entry.items():
            yield from _numbers(value, f"{path}/{name}" if path else str(name))
    elif isinstance(entry, int | float) and not isinstance(entry, bool) and math.isfinite(entry):
        yield path, float(entry)


def _key(name: str) -> str:
    """A name of a metric that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name)


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text[:_MOST_CHARACTERS]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # of a container whose user has no name
        return "unknown"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
