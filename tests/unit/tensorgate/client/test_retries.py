"""Which calls are made again, and when."""

import pytest

from tensorgate.client.calls import Deadline
from tensorgate.client.errors import InvalidInput, Overloaded, RateLimited, TensorgateError, Timeout, Unavailable
from tensorgate.client.retries import Retries, RetryPolicy

IN_TIME = Deadline.after(100_000)
GONE = Unavailable("unavailable", "no server answers")


def test_waits_are_drawn_from_a_range_that_doubles() -> None:
    policy = RetryPolicy(Retries(attempts=9, first=1.0, longest=4.0, budget=1e9))
    for attempt, limit in {1: 1.0, 2: 2.0, 3: 4.0, 4: 4.0}.items():
        drawn = [policy.wait(GONE, attempt, IN_TIME) for _ in range(200)]
        assert all(seconds is not None and 0 <= seconds <= limit for seconds in drawn)
        assert max(filter(None, drawn)) > limit * 0.8
        assert min(seconds for seconds in drawn if seconds is not None) < limit * 0.2


def test_the_server_is_believed() -> None:
    policy = RetryPolicy(Retries(first=0.5))
    seconds = policy.wait(RateLimited("rate_limited", "", retry_after=7.0), 1, IN_TIME)
    assert seconds is not None
    assert 7.0 <= seconds <= 7.5


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("invalid_input", ""),
        Timeout("timeout", ""),
        RateLimited("resource_exhausted", ""),
        Overloaded("overloaded", ""),
        TensorgateError("internal", ""),
    ],
)
def test_what_would_fail_again_is_not_made_again(error: TensorgateError) -> None:
    assert RetryPolicy(Retries()).wait(error, 1, IN_TIME) is None


def test_there_is_an_end_to_it() -> None:
    policy = RetryPolicy(Retries(attempts=2))
    assert policy.wait(GONE, 1, IN_TIME) is not None
    assert policy.wait(GONE, 2, IN_TIME) is None
    assert (
        policy.wait(Unavailable("not_ready", "", retry_after=61.0), 1, Deadline.after(60)) is None
    )  # past the deadline
    assert policy.wait(Unavailable("not_ready", "", retry_after=61.0), 1, Deadline(None)) is not None


def test_a_budget_bounds_them_until_calls_succeed() -> None:
    policy = RetryPolicy(Retries(budget=2))
    assert [policy.wait(GONE, 1, IN_TIME) is None for _ in range(4)] == [False, False, True, True]
    for _ in range(11):
        policy.succeeded()
    assert [policy.wait(GONE, 1, IN_TIME) is None for _ in range(2)] == [False, True]
