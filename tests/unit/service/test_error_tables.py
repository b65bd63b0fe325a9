"""Every kind of error has one row in each transport's table, for each protocol."""

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from service.errors import ErrorKind, GatewayError, Violation, as_gateway_error, invalid_input, shown
from service.protocols.native import grpc as native_grpc
from service.protocols.open_inference import errors as open_inference_errors
from service.protocols.tfserving import errors as tfserving_errors
from service.seam import problem, statuses
from service.seam.statuses import Code
from service.transport.grpc import status as grpc_status

Statuses = Mapping[ErrorKind, int]
Codes = Mapping[ErrorKind, Code]

TABLES = {
    "base": (statuses.HTTP, statuses.GRPC),
    "native": (problem.STATUS, native_grpc.CODES),
    "tfserving": (tfserving_errors.STATUS, tfserving_errors.CODES),
    "open_inference": (open_inference_errors.STATUS, open_inference_errors.CODES),
}
tables = pytest.mark.parametrize(("statuses", "codes"), TABLES.values(), ids=TABLES)


@tables
@pytest.mark.parametrize("kind", ErrorKind)
def test_each_kind_has_a_row_in_both_tables(kind: ErrorKind, statuses: Statuses, codes: Codes) -> None:
    assert 400 <= statuses[kind] < 600
    assert codes[kind] is not Code.OK


@tables
def test_the_tables_have_no_other_rows(statuses: Statuses, codes: Codes) -> None:
    assert set(statuses) == set(ErrorKind) == set(codes)


@tables
@pytest.mark.parametrize("kind", ErrorKind)
def test_whose_fault_it_is_is_the_same_on_both_transports(kind: ErrorKind, statuses: Statuses, codes: Codes) -> None:
    servers_fault = statuses[kind] >= 500 and kind is not ErrorKind.NOT_SUPPORTED
    assert servers_fault == (codes[kind] in {Code.UNAVAILABLE, Code.INTERNAL, Code.DEADLINE_EXCEEDED, Code.UNKNOWN})


@pytest.mark.parametrize("kind", [kind for kind in ErrorKind if kind.retryable])
def test_what_may_be_tried_again_says_when(kind: ErrorKind) -> None:
    error = GatewayError(kind, "later")
    retry = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(retry) for detail in grpc_status.status(error, "id", statuses.GRPC).details)
    assert retry.retry_delay.seconds == 1


def _violations(status: status_pb2.Status) -> list[error_details_pb2.BadRequest.FieldViolation]:
    found = error_details_pb2.BadRequest()
    assert any(detail.Unpack(found) for detail in status.details)
    return list(found.field_violations)


@pytest.mark.parametrize("character", ["a", "%", "\n", "é", "€", "😀"])
def test_an_error_over_grpc_is_no_longer_than_clients_take(character: str) -> None:
    violations = [Violation(f"{number}{character * 300}", character * 300, character * 300) for number in range(1000)]
    status = grpc_status.status(
        GatewayError(ErrorKind.INVALID_INPUT, character * 9000, violations), "i" * 128, statuses.GRPC
    )
    assert status.message.strip(character) == "…"
    assert len(quote(status.message)) + len(b64encode(status.SerializeToString())) < 7 * 1024
    assert [violation.field[0] for violation in _violations(status)][:1] == ["0"]


def test_an_error_that_clients_take_is_whole() -> None:
    violations = [Violation(f"images[{number}]", "a list", "'é'") for number in range(10)]
    status = grpc_status.status(GatewayError(ErrorKind.INVALID_INPUT, "é" * 300, violations), "id", statuses.GRPC)
    assert status.message == "é" * 300
    assert [violation.field for violation in _violations(status)] == [violation.where for violation in violations]
    assert _violations(status)[0].description == "expected a list, got 'é'"


def test_an_unexpected_error_shows_nothing_of_itself() -> None:
    error = as_gateway_error(RuntimeError("/secret/path"))
    assert error.kind is ErrorKind.INTERNAL
    assert "secret" not in str(problem.problem(error, "id"))
    assert "secret" not in str(grpc_status.status(error, "id", statuses.GRPC))


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


def test_codes_are_those_of_grpc() -> None:
    assert {code.name: code.value for code in Code} == {code.name: code.value[0] for code in grpc.StatusCode}
