"""What is counted of a version, and when that is no chance any more."""

import math

import pytest

from service.core.version_counts import VersionCounts, is_surely_more
from service.errors import OK, ErrorKind


def test_runs_that_fail_are_counted_and_those_that_are_given_up_are_not() -> None:
    counts = VersionCounts()
    for code in (OK, ErrorKind.BACKEND_FAILED, ErrorKind.INVALID_INPUT, ErrorKind.CANCELLED, ErrorKind.OVERLOADED):
        counts.count(code, 0.01)
    assert (counts.requests, counts.failures) == (3, 2)
    assert counts.error_rate == pytest.approx(2 / 3)


def test_quantiles_are_at_most_a_tenth_too_long() -> None:
    counts = VersionCounts()
    assert counts.quantile(0.99) == 0
    for number in range(1, 1001):
        counts.count(OK, number / 1000)
    for level in (0.5, 0.9, 0.99):
        assert level <= counts.quantile(level) <= 1.1 * level
    assert counts.slower_than(counts.quantile(0.99)) <= 10
    assert 850 <= counts.slower_than(0.1) <= 900
    counts.count(OK, 1e6)
    counts.count(OK, 0.0)
    assert counts.requests == 1002


@pytest.mark.parametrize(("of", "rate"), [(20, 0.05), (50, 0.01), (400, 0.2), (1000, 0.001)])
def test_it_is_the_exact_binomial_test(of: int, rate: float) -> None:
    def tail(hits: int) -> float:
        return sum(math.comb(of, number) * rate**number * (1 - rate) ** (of - number) for number in range(hits, of + 1))

    for hits in range(of + 1):
        assert is_surely_more(hits, of, rate, chance=0.001) is (tail(hits) < 0.001 and hits > of * rate), hits


def test_where_nothing_may_happen_the_first_time_is_once_too_often() -> None:
    assert is_surely_more(1, 1000, 0.0, chance=0.001)
    assert not is_surely_more(0, 1000, 0.0, chance=0.001)
    assert not is_surely_more(5, 5, 1.0, chance=0.001)
