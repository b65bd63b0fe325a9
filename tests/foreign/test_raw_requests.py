"""Requests that no client sends: bytes through a socket, as curl or a proxy may write them."""

import gzip
import json
import socket
import time
from collections.abc import Sequence

import pytest

from tests.foreign.process import Address

pytestmark = pytest.mark.over_rest

BODY = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [3]}]}).encode()
PACKED = gzip.compress(BODY)
POST = b"POST /v2/models/modes/infer HTTP/1.1\r\nhost: localhost\r\n"
CLOSE = b"connection: close\r\n"
SECONDS = 10


def say(zoo: Address, *parts: bytes) -> list[tuple[int, bytes]]:
    """Sends the parts, each after a pause; returns the status and the body of each answer."""
    host, _, port = zoo.rest.partition(":")
    with socket.create_connection((host, int(port)), SECONDS) as connection:
        for index, part in enumerate(parts):
            time.sleep(0.1 if index else 0)
            connection.sendall(part)
        data = b"".join(iter(lambda: connection.recv(65536), b""))
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = [line.lower().partition(b":") for line in head.split(b"\r\n")[1:]]
        [length] = [int(value) for name, _, value in lines if name == b"content-length"] or [0]
        answers.append((int(head.split()[1]), rest[:length]))
        data = rest[length:]
    return answers


def post(body: bytes, *headers: bytes, request: bytes = POST + CLOSE) -> bytes:
    """Returns a request with these headers and the right length."""
    return request + b"".join(header + b"\r\n" for header in headers) + length(body) + b"\r\n" + body


def length(body: bytes) -> bytes:
    return b"content-length: %d\r\n" % len(body)


def chunks(body: bytes, *headers: bytes, size: int = 10) -> bytes:
    """Returns a request whose body comes in chunks."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    lines = b"".join(header + b"\r\n" for header in (*headers, b"transfer-encoding: chunked"))
    return POST + CLOSE + lines + b"\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def get(target: bytes, version: bytes = b"1.1") -> bytes:
    return b"GET %s HTTP/%s\r\nhost: localhost\r\nconnection: close\r\n\r\n" % (target, version)


def assert_answered(answers: Sequence[tuple[int, bytes]], count: int = 1) -> None:
    assert [status for status, _ in answers] == [200] * count
    for _, body in answers:
        assert json.loads(body)["outputs"][0]["data"] == [3]


HEADER_LENGTH = b"Inference-Header-Content-Length: "
RIGHT_LENGTH = HEADER_LENGTH + b"%d" % len(BODY)

UNDERSTOOD: dict[str, Sequence[bytes]] = {
    "chunks": [chunks(BODY)],
    "chunks with an extension and a trailer": [
        POST + CLOSE + b"transfer-encoding: chunked\r\n\r\n%x;a=b\r\n%s\r\n0\r\nx-t: 1\r\n\r\n" % (len(BODY), BODY)
    ],
    "compressed chunks": [chunks(PACKED, b"content-encoding: gzip")],
    "a body in pieces": [post(BODY)[:-20], post(BODY)[-20:]],
    "HTTP/1.0": [post(BODY, request=POST.replace(b"1.1", b"1.0"))],
    "HTTP/1.0, kept alive": [post(BODY, request=POST.replace(b"1.1", b"1.0") + b"connection: keep-alive\r\n" + CLOSE)],
    "an empty line before it": [b"\r\n" + post(BODY)],
    "gzip": [post(PACKED, b"content-encoding: gzip")],
    "GZIP": [post(PACKED, b"Content-Encoding: GZIP")],
    "x-gzip": [post(PACKED, b"content-encoding: x-gzip")],
    "gzip in two members": [post(gzip.compress(BODY[:9]) + gzip.compress(BODY[9:]), b"content-encoding: gzip")],
    "a byte order mark": [post(b"\xef\xbb\xbf" + BODY)],
    "all of it is JSON": [post(BODY, RIGHT_LENGTH)],
    "a length with spaces": [post(BODY, RIGHT_LENGTH + b" \t")],
    "a length twice": [post(BODY, RIGHT_LENGTH, RIGHT_LENGTH)],
    "no JSON type": [post(BODY, b"content-type: application/x-www-form-urlencoded")],
    "request ids": [post(BODY, b"x-request-id: a", b"x-request-id: b")],
}

REFUSED: dict[str, tuple[bytes, int, bytes]] = {
    **{
        f"a JSON length of {value!r}": (post(BODY, HEADER_LENGTH + value), 400, b"Inference-Header-Content-Length: ")
        for value in (b"-1", b"+5", b"99999", b"9" * 30, b"abc", b"", b"1e2", b"0x10", b"\xb2")
    },
    "two JSON lengths": (post(BODY, RIGHT_LENGTH, HEADER_LENGTH + b"5"), 400, b"got '%d, 5'" % len(BODY)),
    "a JSON length that cuts it": (post(BODY, HEADER_LENGTH + b"10"), 400, b"expected JSON"),
    "a raw tensor of odd length": (post(BODY[:9], HEADER_LENGTH + b"0"), 400, b"inputs.x: expected 8 bytes"),
    "raw tensors that nobody asked for": (post(BODY + b"1234", RIGHT_LENGTH), 400, b"4 bytes after them"),
    "another encoding": (post(BODY, b"content-encoding: br"), 400, b"expected gzip, deflate or identity"),
    "two encodings": (post(PACKED, b"content-encoding: gzip", b"content-encoding: br"), 400, b"got 'gzip, br'"),
    "gzip that is none": (post(BODY, b"content-encoding: gzip"), 400, b"expected gzip data"),
    "gzip that is cut off": (post(PACKED[:-4], b"content-encoding: gzip"), 400, b"cut off"),
    "gzip that unpacks to much": (post(gzip.compress(bytes(1 << 26)), b"content-encoding: gzip"), 413, b"unpacked"),
    "no body": (POST + CLOSE + b"\r\n", 400, b"expected JSON"),
    "two lengths of the body": (post(BODY, b"content-length: 3"), 400, b"no valid HTTP"),
    "a length and chunks": (chunks(BODY, b"content-length: 3"), 400, b"no valid HTTP"),
    "a length below zero": (POST + b"content-length: -1\r\n\r\n", 400, b"no valid HTTP"),
    "a folded header": (post(BODY, b"x-a: b\r\n c"), 400, b"no valid HTTP"),
    "a space before a colon": (post(BODY, b"x-a : b"), 400, b"no valid HTTP"),
    "another HTTP": (get(b"/v2", b"1.2"), 400, b"no valid HTTP"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b"was spoken to in HTTP/2"),
    "GET for POST": (get(b"/v2/models/modes/infer"), 405, b"expected POST, got GET"),
    "an upper-case path": (get(b"/V2/MODELS/modes"), 404, b"there is nothing at '/V2/MODELS/modes'"),
    "an upper-case model": (get(b"/v2/models/MODES"), 404, b"got 'MODES'"),
    "a slash at the end": (get(b"/v2/models/modes/"), 404, b"there is nothing at"),
    "an encoded slash": (get(b"/v2/models/a%2Fb"), 404, b"there is nothing at"),
    "a path that is not UTF-8": (get(b"/v2/models/%FF"), 404, b"expected one of the models served"),
    "no percent code": (get(b"/v2/models/%zz"), 404, b"got '%zz'"),
    "a zero byte": (get(b"/v2/models/a%00b"), 404, b"expected one of the models served"),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_what_is_unusual_is_understood(zoo: Address, case: str) -> None:
    assert_answered(say(zoo, *UNDERSTOOD[case]))


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(zoo: Address, case: str) -> None:
    request, expected, message = REFUSED[case]
    [(status, body)] = say(zoo, request)
    assert status == expected
    error = json.loads(body)
    assert message in str(error.get("error", error.get("detail"))).encode()
    assert error["request_id"]


def test_a_client_that_waits_for_leave_to_send_gets_it(zoo: Address) -> None:
    whole = post(BODY, b"expect: 100-continue")
    (status, _), *answers = say(zoo, whole.removesuffix(BODY), BODY)
    assert status == 100
    assert_answered(answers)


def test_a_client_that_waits_for_leave_to_send_too_much_gets_the_error(zoo: Address) -> None:
    [(status, body)] = say(zoo, POST + CLOSE + b"expect: 100-continue\r\ncontent-length: 99999999999\r\n\r\n")
    assert (status, json.loads(body)["code"]) == (413, "too_large")


def test_pipelined_requests_are_answered_in_order(zoo: Address) -> None:
    assert_answered(say(zoo, post(BODY, request=POST) * 3 + post(PACKED, b"content-encoding: gzip")), 4)


@pytest.mark.parametrize("target", [b"/v2/models/m%6fdes", b"http://x/v2/models/modes", b"/v2/models/modes?a=b"])
def test_other_spellings_of_a_path(zoo: Address, target: bytes) -> None:
    for version in (b"1.1", b"1.0"):
        [(status, body)] = say(zoo, get(target, version))
        assert (status, json.loads(body)["name"]) == (200, "modes")
