"""What spans say, where no whole request shows it."""

import pytest

from service.core.call import Call
from service.core.deadline import NO_DEADLINE
from service.core.tracing import HttpFacts
from service.errors import ErrorKind
from service.telemetry import conventions
from service.telemetry.conventions import Attributes


def call(method: str, status: int = 0) -> Call:
    return Call("grpc", method, "id", NO_DEADLINE, status=status)


@pytest.mark.parametrize(
    ("replica", "expected"),
    [
        ("10.0.0.1:8500", {"server.address": "10.0.0.1", "server.port": 8500}),
        ("[::1]:8500", {"server.address": "::1", "server.port": 8500}),
        ("unix:/run/tfserving", {"server.address": "unix:/run/tfserving"}),
    ],
)
def test_a_replica_has_an_address_and_a_port_where_there_is_one(replica: str, expected: Attributes) -> None:
    attributes = conventions.of_attempt("a.B/C", replica)
    assert attributes == {"rpc.system.name": "grpc", "rpc.method": "a.B/C"} | expected


@pytest.mark.parametrize(
    ("status", "code", "expected", "failed"),
    [
        (0, "ok", "OK", False),
        (0, ErrorKind.CANCELLED, "CANCELLED", False),
        (0, ErrorKind.TIMEOUT, "DEADLINE_EXCEEDED", True),
        (4, ErrorKind.TIMEOUT, "DEADLINE_EXCEEDED", True),
        (14, ErrorKind.BACKEND_UNAVAILABLE, "UNAVAILABLE", True),
        (8, ErrorKind.OVERLOADED, "RESOURCE_EXHAUSTED", False),
    ],
)
def test_the_status_of_a_call_over_grpc(status: int, code: str, expected: str, failed: bool) -> None:
    attributes: Attributes = {}
    assert conventions.add_grpc(attributes, call("a.B/C", status), code) is failed
    assert attributes["rpc.response.status_code"] == expected


def test_a_request_that_was_not_answered_has_no_status() -> None:
    attributes: Attributes = {}
    assert not conventions.add_http(attributes, HttpFacts("GET", "/", "1.1"), call("GET /"))
    assert "http.response.status_code" not in attributes


def test_what_clients_write_is_cut_and_can_be_sent() -> None:
    attributes: Attributes = {}
    conventions.add_http(attributes, HttpFacts("GET", "/\udcff" + "x" * 10_000, "1.1"), call("_other", 404))
    path = attributes["url.path"]
    assert isinstance(path, str)
    assert path.startswith("/?xx")
    assert len(path) == 512
