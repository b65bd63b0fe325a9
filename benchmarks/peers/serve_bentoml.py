"""BentoML: a service with a batchable API, over REST."""

import os
import sys
from pathlib import Path

import bare_model
import bentoml
import numpy as np

_FOLDER, _CALL, _BATCH = "BENCHMARK_FOLDER", "BENCHMARK_CALL", "BENCHMARK_BATCH"
"""The workers, which BentoML starts, import this file again: they get the flags by the environment."""


@bentoml.service(workers=1, traffic={"timeout": 60, "max_concurrency": 1024})
class SavedModel:
    """The SavedModel as BentoML's documents show a service."""

    def __init__(self) -> None:
        self._model = bare_model.load(os.environ[_FOLDER], os.environ[_CALL])

    @bentoml.api(batchable=True, max_batch_size=int(os.environ.get(_BATCH, "64")), max_latency_ms=10_000)
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Answers one request, which may be several merged ones."""
        return self._model(np.asarray(images, np.float32))


if __name__ == "__main__":
    flags = bare_model.arguments()
    os.environ |= {
        _FOLDER: flags.model,
        _CALL: flags.call,
        _BATCH: str(flags.max_batch_size),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_CONFIG_OPTIONS": "api_server.logging.access.enabled=false",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    serve = ["serve", "serve_bentoml:SavedModel", "--host", "127.0.0.1", "--port", str(flags.rest_port)]
    os.chdir(Path(__file__).parent)
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", *serve])  # noqa: S606
