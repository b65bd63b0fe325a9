"""Every kind of error has one row in each transport's table, for each protocol."""

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from service.errors import ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.protocols.open_inference import errors as open_inference_errors
from service.transport import rest_errors, rpc_errors

Statuses = Mapping[ErrorKind, int]
Codes = Mapping[ErrorKind, grpc.StatusCode]

TABLES = {
    "native": (rest_errors.STATUS, rpc_errors.CODE),
    "open_inference": (open_inference_errors.STATUS, open_inference_errors.CODE),
}
tables = pytest.mark.parametrize(("statuses", "codes"), TABLES.values(), ids=TABLES)


@tables
@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_has_a_row_in_both_tables(kind: ErrorKind, statuses: Statuses, codes: Codes) -> None:
    assert 400 <= statuses[kind] < 600
    assert codes[kind] is not grpc.StatusCode.OK


@tables
def test_the_tables_have_no_other_rows(statuses: Statuses, codes: Codes) -> None:
    assert set(statuses) == set(ErrorKind) == set(codes)


@tables
@pytest.mark.parametrize("kind", ErrorKind)
def test_whose_fault_it_is_is_the_same_on_both_transports(kind: ErrorKind, statuses: Statuses, codes: Codes) -> None:
    servers_fault = statuses[kind] >= 500 and kind is not ErrorKind.NOT_SUPPORTED
    assert servers_fault == (
        codes[kind] in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED}
    )


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind.retryable])
def test_what_may_be_tried_again_says_when(kind: ErrorKind) -> None:
    error = GatewayError(kind, "later")
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in rpc_errors.status(error, "id").details)
    assert retry.retry_delay.seconds == 1


def _violations(status: status_pb2.Status) -> list[error_details_pb2.BadRequest.FieldViolation]:
    found = error_details_pb2.BadRequest()
    assert any(detail.Unpack(found) for detail in status.details)
    return list(found.field_violations)


@pytest.mark.parametrize("character", ["a", "%", "\n", "é", "€", "😀"])
def test_an_error_over_grpc_is_no_longer_than_clients_take(character: str) -> None:
    violations = [Violation(f"{number}{character * 300}", character * 300, character * 300) for number in range(1000)]
    status = rpc_errors.status(GatewayError(ErrorKind.INVALID_INPUT, character * 9000, violations), "i" * 128)
    assert status.message.strip(character) == "…"
    assert len(quote(status.message)) + len(b64encode(status.SerializeToString())) < 7 * 1024
    assert [violation.field[0] for violation in _violations(status)][:1] == ["0"]


def test_an_error_that_clients_take_is_whole() -> None:
    violations = [Violation(f"images[{number}]", "a list", "'é'") for number in range(10)]
    status = rpc_errors.status(GatewayError(ErrorKind.INVALID_INPUT, "é" * 300, violations), "id")
    assert status.message == "é" * 300
    assert [violation.field for violation in _violations(status)] == [violation.where for violation in violations]
    assert _violations(status)[0].description == "expected a list, got 'é'"


def test_an_unexpected_error_shows_nothing_of_itself() -> None:
    error = as_gateway_error(RuntimeError("/secret/path"))
    assert error.kind is ErrorKind.INTERNAL
    assert "secret" not in str(rest_errors.problem(error, "id"))
    assert "secret" not in str(rpc_errors.status(error, "id"))


def test_the_message_names_the_first_violation_and_counts_the_rest() -> None:
    one, two = Violation("a", "x", "y"), Violation("b", "x", "y")
    assert str(invalid_input(one)) == "a: expected x, got y"
    assert str(invalid_input(one, two, two)) == "a: expected x, got y (and 2 more)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        ("x" * 1000, "'" + "x" * 80 + "…'"),
        (b"abc", "3 bytes"),
        ([1] * 1000, "a list of 1000"),
        ({"a": 1}, "an object"),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
    ],
)
def test_what_came_is_shown_short_and_on_one_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_huge_number_is_shown_short() -> None:
    assert len(shown(10**4000)) < 200
