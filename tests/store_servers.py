"""Servers that have versions: a web server, and a registry of containers.

They are real ones of HTTP. They can be told to break off, to lie about lengths, and to be away.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.stores import FILES, digest_of


class Faulty(ThreadingHTTPServer):
    """A server whose faults can be set while it runs.

    Attributes:
        requests: Method and path of each request so far.
        headers: Of the last request, by path.
        cuts: After how many bytes of a file the connection is closed, one for each next request of a file.
        lie: Added to each Content-Length of a file.
        tail: Sent after each file.
        ranges: Whether parts of files can be asked for.
        status: Answered to everything, if any.
        gate: Files are sent to their halves until it is set, as it is at first.
    """

    daemon_threads = True

    def __init__(self, handler: type["FaultyHandler"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.requests: list[str] = []
        self.headers: dict[str, Any] = {}
        self.cuts: list[int] = []
        self.lie = 0
        self.tail = b""
        self.ranges = True
        self.status: int | None = None
        self.gate = threading.Event()
        self.gate.set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class FaultyHandler(BaseHTTPRequestHandler):
    """What the handlers of both servers share."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *arguments: Any) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:  # the client has had enough
            self.close_connection = True

    def begins(self) -> bool:
        """Notes a request; answers it where everything is answered alike. Returns whether it did."""
        path = urlsplit(self.path).path
        self.server.requests.append(f"{self.command} {path}")
        self.server.headers[path] = self.headers
        if self.server.status is None:
            return False
        self.answer(self.server.status, b"no")
        return True

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_file(self, data: bytes, **headers: str) -> None:
        """Answers with a file, or the part of it that is asked for, and with the faults."""
        server = self.server
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked and server.ranges else 0
        part = data[start:] + server.tail
        cut = server.cuts.pop(0) if server.cuts else None
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(part) + server.lie))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        sent = part if cut is None else part[:cut]
        self.wfile.write(sent[: len(sent) // 2])
        server.gate.wait(60)
        self.wfile.write(sent[len(sent) // 2 :])
        self.close_connection = cut is not None or server.lie != 0


class _FileHandler(FaultyHandler):
    def do_GET(self) -> None:
        if self.begins():
            return
        wanted = base64.b64encode(self.server.credentials.encode()).decode()
        path = unquote(urlsplit(self.path).path)
        file = self.server.folder / path.lstrip("/")
        if wanted and self.headers.get("Authorization") != f"Basic {wanted}":
            self.answer(401, WWW_Authenticate="Basic")
        elif target := self.server.moved.get(path):
            self.answer(302, Location=target)
        elif not file.is_file():
            self.answer(404)
        elif file.name == "index.json":
            self._answer_index(file.read_bytes())
        else:
            self.answer_file(file.read_bytes())

    def _answer_index(self, data: bytes) -> None:
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            self.answer(304, ETag=etag)
        else:
            self.answer(200, data, ETag=etag)


class FileServer(Faulty):
    """Serves a folder.

    Attributes:
        credentials: Name and password that are asked for, with a colon between them; none if empty.
        moved: Where paths lead to instead.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_FileHandler)
        self.folder = folder
        self.credentials = ""
        self.moved: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://{self.address}"


_UPLOADS = re.compile(r"/v2/(.+)/blobs/uploads/")
_BLOB = re.compile(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/(.+)")
_TAGS = re.compile(r"/v2/(.+)/tags/list")


class _RegistryHandler(FaultyHandler):
    def do_GET(self) -> None:
        if self.begins() or not self._is_let_in():
            return
        server, path = self.server, urlsplit(self.path).path
        if path == "/token":
            self._token()
        elif (found := _TAGS.fullmatch(path)) and found[1] in server.manifests:
            self._tags(found[1])
        elif (found := _MANIFEST.fullmatch(path)) and found[2] in server.manifests.get(found[1], {}):
            data = server.manifests[found[1]][found[2]]
            kind = json.loads(data).get("mediaType", "application/json")
            self.answer(200, data, Content_Type=kind, Docker_Content_Digest=digest_of(data))
        elif (found := _BLOB.fullmatch(path)) and found[2] in server.blobs:
            self.answer_file(server.blobs[found[2]])
        else:
            self.answer(404, b'{"errors": [{"code": "NAME_UNKNOWN"}]}')

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        if not self.begins() and self._is_let_in():
            self.answer(202, Location=f"{urlsplit(self.path).path}1")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.begins() or not self._is_let_in():
            return
        server, parts = self.server, urlsplit(self.path)
        if found := _MANIFEST.fullmatch(parts.path):
            if all(layer["digest"] in server.blobs for layer in json.loads(body)["layers"]):
                server.manifests.setdefault(found[1], {})[found[2]] = body
                self.answer(201)
            else:
                self.answer(404, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}')
        elif digest_of(body) == parse_qs(parts.query)["digest"][0]:
            server.blobs[digest_of(body)] = body
            self.answer(201)
        else:
            self.answer(400, b'{"errors": [{"code": "DIGEST_INVALID"}]}')

    def _is_let_in(self) -> bool:
        server = self.server
        if not server.credentials or urlsplit(self.path).path == "/token":
            return True
        basic = f"Basic {base64.b64encode(server.credentials.encode()).decode()}"
        if self.headers.get("Authorization") == (f"Bearer {server.token}" if server.token else basic):
            return True
        if not server.token:
            self.answer(401, WWW_Authenticate='Basic realm="test"')
            return False
        self.answer(401, WWW_Authenticate=f'Bearer realm="http://{server.address}/token",service="test",scope="pull"')
        return False

    def _token(self) -> None:
        wanted = base64.b64encode(self.server.credentials.encode()).decode()
        is_right = self.headers.get("Authorization") == f"Basic {wanted}"
        self.answer(200, json.dumps({"token": self.server.token}).encode()) if is_right else self.answer(401)

    def _tags(self, repository: str) -> None:
        """Answers a page of two tags."""
        tags = sorted(self.server.manifests[repository])
        last = parse_qs(urlsplit(self.path).query).get("last", [""])[0]
        page = [tag for tag in tags if tag > last][:2]
        more = (
            {"Link": f'</v2/{repository}/tags/list?last={page[-1]}>; rel="next"'}
            if page and page[-1] != tags[-1]
            else {}
        )
        self.answer(200, json.dumps({"name": repository, "tags": page}).encode(), **more)


class Registry(Faulty):
    """The smallest registry that speaks the OCI distribution specification for pulls and pushes.

    Attributes:
        blobs: By digest.
        manifests: By repository, and tag or digest.
        credentials: Name and password that tokens are given for, with a colon between them; empty for anybody.
        token: That is given; empty where name and password are asked for with each request.
    """

    def __init__(self) -> None:
        super().__init__(_RegistryHandler)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, dict[str, bytes]] = {}
        self.credentials = ""
        self.token = "a-token-of-the-registry"  # noqa: S105

    def put(self, repository: str, tag: str, layers: list[tuple[bytes, str, str]]) -> None:
        """Adds an artefact.

        Args:
            repository: Of the artefact.
            tag: Likewise.
            layers: Contents, media type and title of each.
        """
        described = []
        for data, kind, title in layers:
            self.blobs[digest_of(data)] = data
            notes = {"annotations": {"org.opencontainers.image.title": title}} if title else {}
            described.append({"mediaType": kind, "digest": digest_of(data), "size": len(data), **notes})
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": described}
        self.manifests.setdefault(repository, {})[tag] = json.dumps(manifest).encode()

    def put_files(self, repository: str, tag: str, files: Mapping[str, bytes] = FILES) -> None:
        """Adds an artefact of a version's files."""
        self.put(repository, tag, [(data, "application/octet-stream", name) for name, data in files.items()])


@contextmanager
def running(server: Faulty) -> Iterator[None]:
    """Runs a server while the body does."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
