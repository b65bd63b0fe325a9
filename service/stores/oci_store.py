"""A container registry as a store: a repository is a model, and a tag that is a number is a version.

The protocol is the OCI distribution specification, version 1.1; oras finds the credentials, as docker does, and
exchanges them for tokens.
"""

import hashlib
import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import oras.container
import oras.provider
import requests
from requests.adapters import HTTPAdapter

from service.errors import listed, shown
from service.stores.paths import version_number
from service.stores.port import StoredFile, StoredVersion, failed, unavailable
from service.stores.redaction import said
from service.stores.urls import is_loopback

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.tensorgate.savedmodel.v1"
TITLE = "org.opencontainers.image.title"
_DOCKER_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_FILE_TYPE = "application/octet-stream"
_EMPTY_TYPE, _EMPTY = "application/vnd.oci.empty.v1+json", b"{}"
_ARCHIVES = re.compile(r".*[.+](tar|tar\+gzip|tar\.gzip)")
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECONDS = (10.0, 60.0)
"""Timeouts for the connection, and for silence of the registry after that."""
_PART = 1024 * 1024
_MAX_JSON = 4 * 1024 * 1024
_MAX_PAGES = 100
_REFUSED = {401, 403}
_FOR_NOW = {408, 425, 429}
_PARTIAL, _NOT_FOUND, _OK = 206, 404, 200


class _Patient(HTTPAdapter):  # type: ignore[misc]
    """Adds timeouts to the library's requests, which have none."""

    def send(self, *request: Any, **options: Any) -> requests.Response:
        return super().send(*request, **{**options, "timeout": options.get("timeout") or _SECONDS})


class _Registry(oras.provider.Registry):  # type: ignore[misc]
    """The library's registry without its retries, which take minutes and repeat what cannot succeed.

    Credentials are looked up each time that the registry asks for them, as they may have been renewed.
    """

    _basic = ""

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: Any = None,
        headers: dict[str, str] | None = None,
        json: Any = None,
        stream: bool = False,
    ) -> requests.Response:
        known = {"Authorization": f"Basic {self._basic}"} if self._basic else self.auth.get_auth_header()
        headers = {"Accept-Encoding": "identity", **(headers or {}), **known}
        sent = {"data": data, "json": json, "stream": stream}
        answer: requests.Response = self.session.request(method, url, headers=headers, **sent)
        if answer.status_code not in _REFUSED or not self._authorize(answer, headers):
            return answer
        answer.close()
        if hasattr(data, "seek"):
            data.seek(0)
        again: requests.Response = self.session.request(method, url, headers=headers, **sent)
        return again

    def _authorize(self, answer: requests.Response, headers: dict[str, str]) -> bool:
        """Adds the credentials that a response asks for to the headers; returns whether there are any."""
        asks = answer.headers.get("WWW-Authenticate", "")
        realm = re.search(r'realm="(http://[^"]*)"', asks)
        if realm and not is_loopback(urlsplit(realm[1]).hostname):
            raise unavailable("the registry asks for credentials to be sent to where there is no TLS")
        headers.pop("Authorization", None)
        self._basic, self.auth._auth_config = "", {}
        self.auth.load_configs(oras.container.Container(f"{self.hostname}/any"))
        if not asks.lower().startswith("basic"):
            return bool(self.auth.authenticate_request(answer, headers, refresh=True)[1])
        self._basic = getattr(self.auth, "_basic_auth", "")
        headers["Authorization"] = f"Basic {self._basic}"
        return bool(self._basic)


class OciStore:
    """Repositories of a registry, one per model: ``oci://host/space/model``, or ``.../model,other`` for several.

    A version is an artefact: each layer is a file, with its path as title, as ``oras push`` makes them, or a tar. A
    look is one request for the tags of each model, and one for each version that is wanted.

    Args:
        url: The URL of the repositories.

    Raises:
        GatewayError: BACKEND_FAILED when it names no repository.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        space, _, names = parts.path.strip("/").rpartition("/")
        self._host = parts.netloc
        self._repositories = {name: f"{space}/{name}".lstrip("/") for name in names.split(",")}
        for repository in self._repositories.values():
            if not _REPOSITORY.fullmatch(repository):
                raise failed(f"{shown(repository)} is no repository: expected oci://host/space/model, in lower case")
        insecure = is_loopback(parts.hostname)
        self._registry = _Registry(hostname=self._host, insecure=insecure)
        self._base = f"{'http' if insecure else 'https'}://{self._host}/v2/"
        for scheme in ("https://", "http://"):
            self._registry.session.mount(scheme, _Patient())

    def versions(self) -> Mapping[str, Mapping[int, StoredVersion | None]]:
        """Returns all versions, to be described one by one; none for a repository that does not exist (yet)."""
        return {model: dict.fromkeys(self._tags(repository)) for model, repository in self._repositories.items()}

    def _tags(self, repository: str) -> list[int]:
        numbers: list[int] = []
        url = f"{self._base}{repository}/tags/list?n=1000"
        for _ in range(_MAX_PAGES):
            with self._asking(repository, url, absent_is_fine=True) as answer:
                if answer.status_code == _NOT_FOUND:
                    return []
                tags = _json(answer, repository).get("tags") or []
                numbers += [number for tag in tags if (number := version_number(str(tag))) is not None]
                if not (link := answer.links.get("next", {}).get("url")):
                    return numbers
                url = urljoin(url, link)
                if urlsplit(url).netloc != self._host:
                    raise failed(f"{repository}: the rest of its tags is said to be on another host")
        raise failed(f"{repository} has more than {_MAX_PAGES} pages of tags")

    def describe(self, model: str, version: int) -> StoredVersion | None:
        """Returns a version as it is now; ``None`` if it is gone."""
        repository = self._repository(model)
        where = f"{repository}:{version}"
        url = f"{self._base}{repository}/manifests/{version}"
        accept = {"Accept": f"{MANIFEST_TYPE}, {_DOCKER_TYPE}"}
        with self._asking(repository, url, headers=accept, absent_is_fine=True) as answer:
            if answer.status_code == _NOT_FOUND:
                return None
            manifest = _json(answer, where)
        layers = manifest.get("layers")
        if not isinstance(layers, list):
            raise failed(f"{where} has no layers: expected one artefact, and no index of several")
        files = [file for layer in layers if (file := _file(layer, where)) is not None]
        return StoredVersion(tuple(files), is_whole=True)

    def _repository(self, model: str) -> str:
        if model not in self._repositories:
            raise failed(f"the URL names {listed(self._repositories)}, and not the model {shown(model)}")
        return self._repositories[model]

    def read(self, model: str, version: int, file: StoredFile, start: int) -> Generator[bytes, None, None]:
        """Yields the contents of a file from an offset on, even if the registry supports no ranges."""
        repository = self._repository(model)
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._asking(repository, f"{self._base}{repository}/blobs/{file.tag}", headers=headers) as answer:
            skip = start if answer.status_code != _PARTIAL else 0
            for part in answer.iter_content(_PART):
                if len(part) > skip:
                    yield part[skip:]
                skip = max(0, skip - len(part))

    def publish(self, model: str, version: int, files: Mapping[str, Path]) -> None:
        """Pushes a version: its files, and then the manifest.

        Args:
            model: Name of the model; a repository below the URL's path.
            version: A number that the store does not have.
            files: By their paths relative to the version's folder.

        Raises:
            GatewayError: BACKEND_UNAVAILABLE, or BACKEND_FAILED if the registry refuses it.
        """
        repository = self._repository(model)
        layers = []
        for path, source in sorted(files.items()):
            with source.open("rb") as content:
                digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
                size = content.tell()
                content.seek(0)
                self._upload(repository, digest, content)
            layer = {"mediaType": _FILE_TYPE, "digest": digest, "size": size, "annotations": {TITLE: path}}
            layers.append(layer)
        empty = f"sha256:{hashlib.sha256(_EMPTY).hexdigest()}"
        self._upload(repository, empty, _EMPTY)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "config": {"mediaType": _EMPTY_TYPE, "digest": empty, "size": len(_EMPTY)},
            "layers": layers,
        }
        url = f"{self._base}{repository}/manifests/{version}"
        sent: dict[str, Any] = {"data": json.dumps(manifest).encode(), "headers": {"Content-Type": MANIFEST_TYPE}}
        with self._asking(repository, url, "PUT", **sent):
            pass

    def _upload(self, repository: str, digest: str, content: Any) -> None:
        """Uploads a blob that the registry does not have."""
        blobs = f"{self._base}{repository}/blobs/"
        with self._asking(repository, f"{blobs}{digest}", "HEAD", absent_is_fine=True) as answer:
            if answer.status_code == _OK:
                return
        with self._asking(repository, f"{blobs}uploads/", "POST") as answer:
            url = urljoin(blobs, answer.headers.get("Location", ""))
        if urlsplit(url).netloc != self._host:
            raise failed(f"{repository}: files are to be sent to another host, which is not told who sends them")
        url += f"{'&' if urlsplit(url).query else '?'}digest={digest}"
        headers = {"Content-Type": _FILE_TYPE}
        with self._asking(repository, url, "PUT", data=content, headers=headers):
            pass

    @contextmanager
    def _asking(
        self, repository: str, url: str, method: str = "GET", *, absent_is_fine: bool = False, **sent: Any
    ) -> Iterator[requests.Response]:
        """Sends a request; yields the response unless it is an error."""
        what = f"oci://{self._host}/{repository}"
        try:
            with closing(self._registry.do_request(url, method, stream=True, **sent)) as answer:
                status = answer.status_code
                if status >= 400 and not (absent_is_fine and status == _NOT_FOUND):
                    is_final = status < 500 and status not in _REFUSED | _FOR_NOW
                    make = failed if is_final else unavailable
                    raise make(f"{what}: {status} {said(Exception(answer.reason))} ({method} {urlsplit(url).path})")
                yield answer
        except requests.RequestException as error:
            raise unavailable(f"{what} could not be asked: {said(error)}") from None


def _json(answer: requests.Response, where: str) -> dict[str, Any]:
    data = b""
    for part in answer.iter_content(_PART):
        data += part
        if len(data) > _MAX_JSON:
            raise failed(f"{where}: what the registry says of it is longer than {_MAX_JSON} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise failed(f"{where}: what the registry says of it is no JSON object")
    return document


def _file(layer: object, where: str) -> StoredFile | None:
    """Returns what a layer is: a file, an archive, or nothing."""
    fields = layer if isinstance(layer, dict) else {}
    kind, digest, size = (fields.get(name) for name in ("mediaType", "digest", "size"))
    notes = fields.get("annotations") or {}
    title = notes.get(TITLE) if isinstance(notes, dict) else None
    if not isinstance(kind, str) or not isinstance(digest, str) or type(size) is not int or size < 0:
        raise failed(f"{where}: expected layers with a mediaType, a digest and a size")
    if not _DIGEST.fullmatch(digest):
        raise failed(f"{where}: expected digests by sha256, got {shown(digest)}")
    if kind == _EMPTY_TYPE:
        return None
    if _ARCHIVES.fullmatch(kind):
        return StoredFile(f".{digest}", size, digest, digest, is_archive=True)
    if not isinstance(title, str):
        raise failed(f"{where}: a layer of type {shown(kind)} has no title ({TITLE}), and is no tar")
    return StoredFile(title, size, digest, digest)
