"""Each decoder stands what it was attacked with before, and some of what it is attacked with from now on."""

from collections.abc import Iterator
from random import Random

import pytest

from fuzz import corpora
from fuzz.registry import TARGETS
from fuzz.target import FindingError, Target, check
from fuzz.targets import application
from service.errors import ErrorKind, GatewayError, Violation, invalid_input

INPUTS = 100


@pytest.fixture(scope="module", autouse=True)
def _stopped() -> Iterator[None]:
    yield
    application.stop()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_decoder_refuses_or_decodes_whatever_comes(target: Target) -> None:
    assert sum(map(target.attack, target.seeds)) > 0, "a target without a valid seed attacks nothing"
    for data in corpora.inputs(target.name):
        target.attack(data)
    random = Random(target.name)
    for _ in range(INPUTS):
        target.attack(target.mutated(random.choice(target.seeds), random))


def test_every_corpus_is_one_of_a_decoder() -> None:
    assert {file.stem for file in corpora.FOLDER.glob("*.txt")} <= {target.name for target in TARGETS}


def _refusing(error: Exception) -> Target:
    def decode(data: bytes) -> None:
        raise error

    return Target("broken", decode, (b"",))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("which nobody expects"),
        GatewayError(ErrorKind.INTERNAL, "a client's mistake that is none of the client's"),
        GatewayError(ErrorKind.INVALID_INPUT, "x" * 10_000),
        GatewayError(ErrorKind.INVALID_INPUT, ""),
    ],
    ids=lambda error: str(error)[:20],
)
def test_what_a_client_could_not_be_told_is_a_finding(error: Exception) -> None:
    with pytest.raises((FindingError, ValueError)):
        _refusing(error).attack(b"")


def test_a_refusal_is_none() -> None:
    assert not _refusing(invalid_input(Violation("x", "this", "that"))).attack(b"")


def test_a_check_that_fails_says_why() -> None:
    check(True, "never")
    with pytest.raises(FindingError, match="two of them"):
        check(False, "two of them")
