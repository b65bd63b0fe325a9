"""A running server stands some of what it is attacked with, and one that does not is found out."""

import pytest

from fuzz import wire
from fuzz.limits import LIMITS
from fuzz.options import parse
from tests.http2 import SERVERS

SECONDS = 60.0
OPTIONS = parse(["--wire-inputs", "1500", "--limit", "30", "--seed", "7"])


@pytest.mark.parametrize("grpc_server", SERVERS)
def test_a_server_stands_what_it_is_attacked_with(grpc_server: str) -> None:
    figures = wire.attack_server(OPTIONS, grpc_server, SECONDS)
    assert [finding for each in figures for finding in each.findings] == []
    assert all(each.inputs > 0 for each in figures)
    assert {each.name.removeprefix(f"{grpc_server}: ").partition(",")[0] for each in figures} == {
        *("rest", "grpc-web", "grpc", "grpc streams", "grpc frames"),
    }


def test_a_server_with_a_fault_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LIMITS", LIMITS | {"backend": "tests.fakes:FailingBackend"})
    figures = wire.attack_server(OPTIONS, SERVERS[0], SECONDS)
    findings = "\n".join(finding for each in figures for finding in each.findings)
    assert "status 500" in findings
    assert "code 13" in findings
    assert "in the log" in findings
    assert "after 0 inputs: FindingError" in findings  # what is known is answered otherwise, too
