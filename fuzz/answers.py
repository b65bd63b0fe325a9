"""What any answer must be like, whatever was asked."""

import json
import re
from base64 import b64decode
from binascii import Error as NoBase64Error
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from google.protobuf.message import DecodeError

from fuzz.requests import METHODS, REST, Request
from fuzz.target import check

_EXPECTED_5XX = {501, 503, 504}
"""What is not supported here, what is too much at a time, and what took too long."""
_UNEXPECTED_CODES = {2, 13, 15}
"""UNKNOWN, INTERNAL and DATA_LOSS."""
_FROM_INSIDE = re.compile(
    rb"Traceback \(most recent|File \\?\"|\.py\b|site-packages|service[./](?:core|codecs|protocols|transport|app)[./]|"
    rb"<class '|object at 0x"
)
"""What no client is to see: where our code is, and what it is made of."""
_TRAILERS = 0x80


def check_http(request: Request, status: int, headers: Mapping[bytes, bytes], body: bytes) -> None:
    """Holds an answer over HTTP against what it must be like.

    Args:
        request: That was answered.
        status: Of the answer.
        headers: Names in lower case.
        body: Of the answer.

    Raises:
        FindingError: When it is not so.
    """
    check(status < 500 or status in _EXPECTED_5XX, f"status {status}: {body[:300]!r}")
    if request.verb == "HEAD":
        return
    if request.kind == REST:
        if request.path.startswith("/docs"):  # scripts of others
            return
        _check_hidden(request, body)
        if b"json" in headers.get(b"content-type", b"") and body:
            _parsed(body)
        return
    if status == 200 and headers.get(b"content-type", b"").startswith(b"application/grpc-web"):
        _check_web(request, headers, body)


def _parsed(body: bytes) -> None:
    try:
        json.loads(body)
    except ValueError as error:
        check(False, f"no JSON: {error}: {body[:300]!r}")


def _check_web(request: Request, headers: Mapping[bytes, bytes], body: bytes) -> None:
    if headers[b"content-type"].startswith(b"application/grpc-web-text"):
        try:
            body = b"".join(b64decode(part + b"=" * (-len(part) % 4)) for part in re.split(rb"=+", body))
        except NoBase64Error:
            check(False, f"no base64: {body[:300]!r}")
    position = 0
    trailers: bytes | None = None
    while position < len(body):
        check(trailers is None, "something after the trailers")
        end = position + 5 + int.from_bytes(body[position + 1 : position + 5])
        check(end <= len(body), "a frame that is cut off")
        if body[position] == _TRAILERS:
            trailers = body[position + 5 : end]
        else:
            check_message(request, body[position + 5 : end])
        position = end
    pairs = dict(line.split(b": ", 1) for line in (trailers or b"").split(b"\r\n") if b": " in line)
    check(b"grpc-status" in pairs, f"no status: {trailers!r}")
    check_status(request, int(pairs[b"grpc-status"]), unquote_to_bytes(pairs.get(b"grpc-message", b"")))


def check_message(request: Request, message: bytes) -> None:
    """Refuses what is no answer of the method.

    Raises:
        FindingError: When it is none.
    """
    method = METHODS.get(request.path)
    if method is not None:
        try:
            method.response.FromString(message)
        except DecodeError:
            check(False, f"no answer of {method.path}: {message[:300]!r}")


def check_status(request: Request, code: int, text: bytes) -> None:
    """Refuses how a call over gRPC must not end.

    Raises:
        FindingError: When it ended so.
    """
    check(code not in _UNEXPECTED_CODES, f"code {code}: {text[:300]!r}")
    _check_hidden(request, text)


def _check_hidden(request: Request, text: bytes) -> None:
    found = _FROM_INSIDE.search(text)
    if found is not None:
        said = found[0] in request.body or found[0] in request.path.encode("utf-8", "surrogateescape")
        check(said, f"tells of the inside: {text[max(0, found.start() - 100) : found.end() + 200]!r}")
