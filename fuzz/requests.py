"""Whole requests of every protocol, as HTTP has them, and others that differ a little from valid ones."""

import gzip
import io
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from PIL import Image

from fuzz.mutated_images import mutated_image
from service.transport.grpc.framing import framed
from tests.mutated_json import mutated_json
from tests.mutated_messages import mutated_message
from tests.mutations import WORDS, mutated_bytes
from tests.valid_bodies import BODIES
from tests.valid_rpcs import RPCS, RpcMethod

REST, GRPC, WEB = "rest", "grpc", "grpc-web"
METHODS: dict[str, RpcMethod] = {method.path: method for method in RPCS}

_WEB_TYPES = (b"application/grpc-web+proto", b"application/grpc-web-text")
_LENGTH = b"inference-header-content-length"
_HEADERS = (
    (b"content-type", b"application/json"),
    (b"content-type", b"application/octet-stream"),
    (b"content-type", b"image/png"),
    (b"content-type", b"multipart/form-data; boundary=b"),
    (b"content-encoding", b"gzip"),
    (b"content-encoding", b"br"),
    (b"x-request-timeout", b"5"),
    (b"x-request-timeout", b"1e400"),
    (b"x-request-timeout", b"-0"),
    (b"x-request-id", b"\xff\x01"),
    (b"grpc-timeout", b"99999999H"),
    (b"grpc-timeout", b"5"),
    (b"grpc-encoding", b"gzip"),
    (b"grpc-encoding", b"snappy"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"accept", b"application/openmetrics-text; version=1.0.0"),
    (b"host", b"/"),
    (b"expect", b"100-continue"),
    (_LENGTH, b"7"),
    (_LENGTH, b"0"),
)
_PATHS = (
    *("/v1/models/%s", "/v1/models/%s:predict", "/v1/models/%s/versions/%s/metadata", "/v1/models/%s/labels/%s"),
    *("/v2/models/%s", "/v2/models/%s/versions/%s/infer", "/v2/models/%s/infer", "/v2/models/%s/ready"),
    *("/api/v1/models/%s", "/api/v1/models/%s/classify", "/api/v1/models/%s/forecast?horizon=%s"),
    *("/api/v1/models/%s/labels/%s", "/api/v1/models/%s/drift?version=%s", "/%s", "//%s", "/docs/%s"),
    *("/v2/repository/models/%s/load", "/v2/repository/index", "/tensorflow.serving.PredictionService/%s"),
)
_ODD = ("%2F..%2F", "%00", "%ff", "%", "..", ":", "a b", "é", "?", "#", "1" * 30, "x" * 300)
_VERBS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        kind: `REST`, `GRPC` or `WEB`.
        path: With its query.
        headers: Beside those that HTTP itself needs.
        body: Of gRPC, framed.
    """

    kind: str
    verb: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: bytes) -> bytes:
        """Returns the first value of a header, nothing where there is none."""
        return next((value for found, value in self.headers if found == name), b"")

    def written(self) -> bytes:
        """Returns the request as a text that `read` reads."""
        lines = [f"{self.kind} {self.verb} {self.path}".encode("utf-8", "surrogateescape")]
        lines += [name + b": " + value for name, value in self.headers]
        return b"\n".join((*lines, b"", self.body))


def read(data: bytes) -> Request:
    """Returns the request of a text, whatever that is."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    words = first.decode("utf-8", "surrogateescape").split(" ", 2)
    kind, verb, path = (*words, "", "", "")[:3]
    headers = tuple((name.lower(), value.lstrip(b" ")) for name, _, value in (line.partition(b":") for line in lines))
    return Request(kind if kind in {GRPC, WEB} else REST, verb or "GET", path or "/", headers, body)


def mutated(request: Request, random: Random) -> Request:
    """Returns another request: mostly another body, at times other headers, another path or another verb."""
    if random.random() < 0.1:
        path = random.choice(_PATHS)
        names = tuple(random.choice((*WORDS, *_ODD)) for _ in range(path.count("%s")))
        request = replace(request, path=path % names)
    if random.random() < 0.1:
        request = replace(request, path=_text(request.path, random))
    if random.random() < 0.05:
        request = replace(request, verb=random.choice(_VERBS))
    if random.random() < 0.1:
        request = replace(request, headers=(random.choice(_HEADERS), *request.headers))
    if request.headers and random.random() < 0.1:
        name, value = random.choice(request.headers)
        other = (name, mutated_bytes(value, random).translate(None, b"\r\n\0"))
        request = replace(request, headers=(other, *(each for each in request.headers if each[0] != name)))
    if random.random() < 0.1:
        return request
    try:
        return _with_other_body(request, random)
    except Exception:  # what has lost its structure is changed byte by byte
        return replace(request, body=mutated_bytes(request.body, random))


def _text(text: str, random: Random) -> str:
    """Returns another text that can stand in a line."""
    changed = mutated_bytes(text.encode("utf-8", "replace"), random).decode("utf-8", "replace")
    return "".join(character for character in changed if character.isprintable() and character != " ") or "/"


def _with_other_body(request: Request, random: Random) -> Request:
    if request.kind != REST:
        return _with_other_messages(request, random)
    body = request.body
    if request.header(b"content-encoding") == b"gzip":
        again = gzip.compress(mutated_json(gzip.decompress(body), random), mtime=0)
        return replace(request, body=again if random.random() < 0.7 else mutated_bytes(again, random))
    kind = request.header(b"content-type")
    if kind.startswith(b"image/"):
        return replace(request, body=mutated_image(body, random))
    if kind != b"application/json":
        return replace(request, body=mutated_bytes(body, random))
    if length := request.header(_LENGTH):
        document, blobs = mutated_json(body[: int(length)], random), body[int(length) :]
        others = tuple(each for each in request.headers if each[0] != _LENGTH)
        blobs = mutated_bytes(blobs, random) if random.random() < 0.3 else blobs
        return replace(request, headers=((_LENGTH, b"%d" % len(document)), *others), body=document + blobs)
    return replace(request, body=mutated_json(body, random))


def _with_other_messages(request: Request, random: Random) -> Request:
    is_text = request.header(b"content-type") == _WEB_TYPES[1]
    body = b64decode(request.body) if is_text else request.body
    kind = METHODS[request.path].request
    messages = [mutated_message(message, kind, random) for message in unframed(body)]
    encoding = request.header(b"grpc-encoding").decode() if random.random() < 0.9 else ""
    body = b"".join(framed(message, encoding) for message in messages)
    if request.kind == WEB and random.random() < 0.15:  # gRPC's own clients send no other frames than these
        body = mutated_bytes(body, random)
    if is_text:
        body = b64encode(body)
        body = mutated_bytes(body, random) if random.random() < 0.15 else body
    return replace(request, body=body)


def unframed(body: bytes) -> list[bytes]:
    """Returns the messages of a body, whole ones; compressed ones as they were before."""
    messages, position = [], 0
    while position < len(body):
        flag, length = body[position], int.from_bytes(body[position + 1 : position + 5])
        message = body[position + 5 : position + 5 + length]
        messages.append(zlib.decompress(message, 47) if flag else message)  # 47: of gzip or zlib, as it says itself
        position += 5 + length
    return messages


def _rest() -> tuple[Request, ...]:
    json = (b"content-type", b"application/json")
    made = []
    for body in BODIES:
        headers = ((_LENGTH, b"%d" % len(body.document)), json) if body.blobs else (json,)
        made.append(Request(REST, "POST", body.path, headers, body.document + body.blobs))
        if body.path.startswith("/v1/"):
            packed = gzip.compress(body.document, mtime=0)
            made.append(Request(REST, "POST", body.path, ((b"content-encoding", b"gzip"), json), packed))
    for name, image in _images().items():
        path = "/api/v1/models/shades/classify?top_k=2"
        made.append(Request(REST, "POST", path, ((b"content-type", b"image/" + name),), image))
        disposition = b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
        form = disposition % (b"f", b'; filename="f"', image) + disposition % (b"top_k", b"", b"1") + b"--b--\r\n"
        made.append(Request(REST, "POST", path[:-8], ((b"content-type", b"multipart/form-data; boundary=b"),), form))
    raw = ((_LENGTH, b"0"), (b"content-type", b"application/octet-stream"))
    made.append(Request(REST, "POST", "/v2/models/scales/infer", raw, bytes(16)))
    label = "/api/v1/models/shades/labels/new"
    made += [Request(REST, "PUT", label, (json,), b'{"version": 1}'), Request(REST, "DELETE", label, (), b"")]
    for path in ("/v2/repository/index", "/v2/repository/models/sum/load", "/v2/repository/models/fixed/unload"):
        made.append(Request(REST, "POST", path, (json,), b'{"parameters": {"unload_dependents": false}}'))
    paths = (
        *("/v1/models/sum", "/v1/models/sum/versions/1/metadata", "/v1/models/scales/labels/stable", "/v2"),
        *("/v2/models/sum", "/v2/models/text/versions/2/ready", "/api/v1/models", "/api/v1/models/sum?version=1"),
        *("/api/v1/models/sum/drift", "/api/v1/models/sum/rollout", "/livez", "/readyz", "/metrics"),
        *("/v2/health/ready", "/v2/models", "/docs"),
    )
    made += [Request(REST, "GET", path, (), b"") for path in paths]
    return tuple(made)


def _images() -> dict[bytes, bytes]:
    files = {}
    for name in ("png", "jpeg", "gif", "bmp"):
        file = io.BytesIO()
        Image.new("RGB", (5, 4), (1, 99, 200)).save(file, name)
        files[name.encode()] = file.getvalue()
    return files


def _grpc() -> tuple[Request, ...]:
    made = []
    for method, messages in RPCS.items():
        written = [message.SerializeToString() for message in messages]
        bodies = [b"".join(map(framed, written[:3]))] if method.is_stream else map(framed, written)
        made += [Request(GRPC, "POST", method.path, ((b"content-type", b"application/grpc"),), body) for body in bodies]
        packed = ((b"grpc-encoding", b"gzip"), (b"content-type", b"application/grpc"))
        made.append(Request(GRPC, "POST", method.path, packed, framed(written[0], "gzip")))
    return tuple(made)


def _web() -> tuple[Request, ...]:
    kinds: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = ((_WEB_TYPES[0], bytes), (_WEB_TYPES[1], b64encode))
    return tuple(
        replace(request, kind=WEB, headers=((b"content-type", name),), body=encoded(request.body))
        for request in _grpc()
        if not request.header(b"grpc-encoding")
        for name, encoded in kinds
    )


SEEDS: dict[str, tuple[Request, ...]] = {REST: _rest(), GRPC: _grpc(), WEB: _web()}
"""Valid requests by kind."""
