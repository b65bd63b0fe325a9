import math

import pytest

from training.errors import PublicationRefusedError
from training.gate import Bar, Verdict


def _verdict(error: float, *, forced: bool = False) -> Verdict:
    naive = Bar("guessing", 0.5, error, 0.5, strict=True)
    published = Bar("published version 3", 0.1, error, 0.12)
    return Verdict("error rate", error, (naive, published), forced)


@pytest.mark.parametrize("error", [0.0, 0.1, 0.12])
def test_an_error_up_to_every_limit_passes(error: float) -> None:
    verdict = _verdict(error)
    verdict.enforce()
    assert verdict.result == "passed"


@pytest.mark.parametrize(("error", "failures"), [(0.13, 1), (0.5, 2), (0.6, 2), (math.nan, 2), (math.inf, 2)])
def test_an_error_above_a_limit_is_refused_with_each_reason(error: float, failures: int) -> None:
    verdict = _verdict(error)
    assert len(verdict.failures) == failures
    with pytest.raises(PublicationRefusedError, match="worse than published version 3") as refusal:
        verdict.enforce()
    assert ("not better than guessing" in str(refusal.value)) == (failures == 2)


def test_a_tie_with_guessing_fails_and_one_with_a_published_version_does_not() -> None:
    assert not Bar("guessing", 0.5, 0.5, 0.5, strict=True).reached
    assert Bar("published version 1", 0.5, 0.5, 0.5).reached


def test_a_bar_compares_what_was_measured_on_the_same_examples() -> None:
    bar = Bar("published version 1 on half of it", 0.3, 0.2, 0.3)
    verdict = Verdict("error rate", 0.4, (bar,), forced=False)
    assert verdict.result == "passed"
    assert verdict.sentences() == ["error rate 0.2 is not worse than published version 1 on half of it (0.3)"]


def test_force_lets_a_failure_through_and_says_so() -> None:
    verdict = _verdict(0.6, forced=True)
    verdict.enforce()
    assert verdict.result == "forced"
    assert "is not better than" in verdict.sentences()[0]


def test_force_changes_nothing_for_a_model_that_passes() -> None:
    assert _verdict(0.05, forced=True).result == "passed"
