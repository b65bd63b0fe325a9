"""Requests are written as they are read, and those that are made of them stay such that they can be."""

from random import Random

import pytest

from fuzz.answers import check_http, check_status
from fuzz.requests import REST, SEEDS, WEB, Request, mutated, read
from fuzz.target import FindingError

ASKED = Request(REST, "GET", "/x", (), b"")


@pytest.mark.parametrize("kind", SEEDS)
def test_what_is_written_is_read(kind: str) -> None:
    random = Random(kind)
    for seed in SEEDS[kind]:
        assert read(seed.written()) == seed
        changed = mutated(seed, random)
        assert read(changed.written()).body == changed.body


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (502, b"{}"),
        (400, b"not JSON"),
        (400, b'{"detail": "Traceback (most recent call last)"}'),
        (400, b'{"detail": "<class \'KeyError\'>"}'),
        (400, b'{"detail": "service/codecs/images.py"}'),
    ],
)
def test_answers_that_tell_of_a_fault_are_findings(status: int, body: bytes) -> None:
    with pytest.raises(FindingError):
        check_http(ASKED, status, {b"content-type": b"application/json"}, body)


def test_what_a_client_sent_may_stand_in_its_answer() -> None:
    request = Request(REST, "GET", "/service/codecs/images.py", (), b"")
    headers = {b"content-type": b"application/json"}
    check_http(request, 404, headers, b'{"detail": "there is nothing at /service/codecs/images.py"}')
    check_http(ASKED, 503, headers, b"{}")


@pytest.mark.parametrize(
    "body",
    [b"", b"\x80\0\0\0\x04x: y", b"\0\0\0\0\x09x", b"\x80\0\0\0\x10grpc-status: 13\r\n"],
    ids=["nothing", "no status", "cut off", "internal"],
)
def test_answers_of_grpc_web_without_a_good_end_are_findings(body: bytes) -> None:
    headers = {b"content-type": b"application/grpc-web+proto"}
    with pytest.raises(FindingError):
        check_http(Request(WEB, "POST", "/a/b", (), b""), 200, headers, body)


@pytest.mark.parametrize("code", [2, 13, 15])
def test_codes_that_tell_of_a_fault_are_findings(code: int) -> None:
    check_status(ASKED, 3, b"")
    with pytest.raises(FindingError):
        check_status(ASKED, code, b"")
