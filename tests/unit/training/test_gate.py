import math

import pytest

from training.errors import PublicationRefusedError
from training.gate import Bar, Verdict

_NAIVE = Bar("the naive baseline", 0.5, 0.5)
_PUBLISHED = Bar("published version 3", 0.1, 0.12)


def _verdict(error: float, *bars: Bar, forced: bool = False) -> Verdict:
    return Verdict("error rate", error, bars or (_NAIVE, _PUBLISHED), forced)


@pytest.mark.parametrize("error", [0.0, 0.1, 0.12])
def test_an_error_up_to_every_limit_passes(error: float) -> None:
    verdict = _verdict(error)
    verdict.enforce()
    assert verdict.result == "passed"


@pytest.mark.parametrize(("error", "failures"), [(0.13, 1), (0.6, 2), (math.nan, 2), (math.inf, 2)])
def test_an_error_above_a_limit_is_refused_with_each_reason(error: float, failures: int) -> None:
    verdict = _verdict(error)
    assert len(verdict.failures) == failures
    with pytest.raises(PublicationRefusedError, match="published version 3") as refusal:
        verdict.enforce()
    assert ("naive" in str(refusal.value)) == (failures == 2)


def test_force_lets_a_failure_through_and_says_so() -> None:
    verdict = _verdict(0.6, forced=True)
    verdict.enforce()
    assert verdict.result == "forced"
    assert "is worse than" in verdict.sentences()[0]


def test_force_changes_nothing_for_a_model_that_passes() -> None:
    assert _verdict(0.05, forced=True).result == "passed"
