"""A server that answers as MLflow's does what is asked of its model registry, and passes on artefacts.

Its answers have the form of those of MLflow 3.17.2.
"""

import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.store_servers import Faulty, FaultyHandler

_REGISTRY, _ARTIFACTS = "/api/2.0/mlflow/model-versions/", "/api/2.0/mlflow-artifacts/artifacts"
DESCRIPTION = b"""\
flavors:
  python_function:
    loader_module: mlflow.tensorflow
  tensorflow:
    code: null
    model_type: tf2-module
    saved_model_dir: tf2model
"""


class _Handler(FaultyHandler):
    def do_GET(self) -> None:  # noqa: N802
        if self.begins():
            return
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        server = self.server
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            self.answer(401)
        elif parts.path == f"{_REGISTRY}search":
            found = [entry for entry in server.versions if f"name='{entry['name']}'" == asked["filter"]]
            self._answer_json({"model_versions": found} if found else {})
        elif parts.path == f"{_REGISTRY}get-download-uri":
            self._answer_json({"artifact_uri": server.uris[asked["name"], asked["version"]]})
        elif parts.path == _ARTIFACTS:
            self._answer_json({"files": self._files(asked["path"])})
        elif (path := unquote(parts.path.removeprefix(f"{_ARTIFACTS}/"))) in server.files:
            self.answer_file(server.files[path])
        else:
            self.answer(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')

    def _answer_json(self, document: dict[str, Any]) -> None:
        self.answer(200, json.dumps(document).encode())

    def _files(self, folder: str) -> list[dict[str, Any]]:
        below = {
            path.removeprefix(f"{folder}/"): data
            for path, data in self.server.files.items()
            if path.startswith(f"{folder}/")
        }
        folders = {path.split("/")[0] for path in below if "/" in path}
        files = [
            {"path": path, "is_dir": False, "file_size": len(data)} for path, data in below.items() if "/" not in path
        ]
        return files + [{"path": path, "is_dir": True} for path in sorted(folders)]


class MlflowServer(Faulty):
    """A model registry.

    Attributes:
        versions: As a search shows them.
        uris: Where the artefacts of each version are.
        files: Artefacts that are passed on, by path.
        token: That is asked for; none if empty.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.versions: list[dict[str, str]] = []
        self.uris: dict[tuple[str, str], str] = {}
        self.files: dict[str, bytes] = {}
        self.token = ""

    def put(self, model: str, version: str, files: dict[str, bytes], status: str = "READY") -> None:
        """Registers a version."""
        root = f"0/{model}{version}/artifacts/model"
        self.versions.insert(0, {"name": model, "version": version, "status": status})
        self.uris[model, version] = f"mlflow-artifacts:/{root}"
        self.files |= {f"{root}/tf2model/{name}": data for name, data in files.items()}
        self.files[f"{root}/MLmodel"] = DESCRIPTION
