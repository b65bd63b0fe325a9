"""MLflow's model registry as a store, by its REST API; its server has to proxy the artefacts."""

import json
import os
import posixpath
import re
from base64 import b64encode
from collections.abc import Generator, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from service.errors import shown
from service.stores.paths import MAX_FILES, is_model_name, version_number
from service.stores.port import StoredFile, StoredVersion, failed
from service.stores.urls import is_loopback
from service.stores.web import Web

_MAX_JSON = 4 * 1024 * 1024
_MAX_PAGES = 100
_ARTIFACTS = "mlflow-artifacts:"
_DESCRIPTION = "MLmodel"
_FOLDER = re.compile(r"^\s+saved_model_dir:\s*['\"]?([^'\"#\n]+?)['\"]?\s*$", re.MULTILINE)


class MlflowStore:
    """Versions of registered models of the flavour TensorFlow: ``mlflow://host:port/model``, or ``.../model,other``.

    A look is one request for the versions of each model, and some for each version that is wanted, one per folder.
    Credentials are taken from MLflow's own environment variables.

    Args:
        url: The URL of the models.

    Raises:
        GatewayError: BACKEND_FAILED when it names no model.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        prefix, _, names = parts.path.strip("/").rpartition("/")
        self._models = names.split(",")
        if not all(is_model_name(name) for name in self._models):
            raise failed(f"{shown(url)} names no model: expected mlflow://host:port/model")
        scheme = "http" if is_loopback(parts.hostname) else "https"
        self._base = "/".join(part for part in (f"{scheme}://{parts.netloc}", prefix, "api/2.0") if part)
        self._host = parts.hostname or ""
        self._web = Web(lambda host: _of_environment() if host == self._host else "")

    def versions(self) -> Mapping[str, Mapping[int, StoredVersion | None]]:
        """Returns all versions, to be described one by one."""
        return {model: dict.fromkeys(self._ready(model)) for model in self._models}

    def _ready(self, model: str) -> Iterator[int]:
        token = ""
        for _ in range(_MAX_PAGES):
            wanted = {"filter": f"name='{model}'", "max_results": 1000, "page_token": token}
            answer = self._ask("mlflow/model-versions/search", wanted)
            for entry in answer.get("model_versions", []):
                number = version_number(str(entry.get("version")))
                if number is not None and entry.get("status", "READY") == "READY":
                    yield number
            if not (token := answer.get("next_page_token", "")):
                return
        raise failed(f"the model {shown(model)} has more than {_MAX_PAGES} pages of versions")

    def describe(self, model: str, version: int) -> StoredVersion | None:
        """Returns a version as it is now."""
        root = self._root(model, version)
        found = self._web.document(self._url(f"{root}/{_DESCRIPTION}"), _MAX_JSON).decode("utf-8", "replace")
        folder = _FOLDER.search(found)
        if folder is None:
            raise failed(f"version {version} of {shown(model)} is not of MLflow's flavour TensorFlow: {_DESCRIPTION}")
        root = f"{root}/{folder[1]}"
        files = [StoredFile(path.removeprefix(f"{root}/"), size, path) for path, size in self._below(root)]
        return StoredVersion(tuple(files), is_whole=True)

    def read(self, model: str, version: int, file: StoredFile, start: int) -> Generator[bytes, None, None]:
        """Yields the contents of a file from an offset on."""
        return self._web.read(self._url(file.tag), start)

    def _root(self, model: str, version: int) -> str:
        """Returns where the server keeps the artefacts of a version."""
        wanted = {"name": model, "version": version}
        uri = str(self._ask("mlflow/model-versions/get-download-uri", wanted).get("artifact_uri"))
        parts = urlsplit(uri)
        if not uri.startswith(_ARTIFACTS):
            raise failed(
                f"the artefacts are at {parts.scheme}://..., and not passed on by MLflow's server: pull them there"
            )
        return posixpath.normpath(parts.path).strip("/")

    def _below(self, root: str) -> Iterator[tuple[str, int]]:
        pending, count = [root], 0
        while pending:
            folder = pending.pop()
            for entry in self._ask("mlflow-artifacts/artifacts", {"path": folder}).get("files", []):
                count += 1
                if count > MAX_FILES:
                    raise failed(f"it has more than {MAX_FILES} files")
                path = f"{folder}/{entry.get('path')}"
                if entry.get("is_dir"):
                    pending.append(path)
                else:
                    yield path, int(entry.get("file_size") or 0)

    def _url(self, path: str) -> str:
        return f"{self._base}/mlflow-artifacts/artifacts/{quote(path)}"

    def _ask(self, what: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self._base}/{what}"
        try:
            document = json.loads(self._web.document(f"{url}?{urlencode(wanted)}", _MAX_JSON))
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise failed(f"{url}: expected a JSON object")
        return document


def _of_environment() -> str:
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return f"Bearer {token}"
    if name := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"
    return ""
