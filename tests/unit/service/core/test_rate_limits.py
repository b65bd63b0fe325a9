from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import rate_limits
from service.core.limit_rules import InFlight, LimitRule, Rate
from service.core.rate_limits import Lease, RateLimits
from service.errors import ErrorKind, GatewayError

ANY = ("*",)
TEN = Rate("ten", "requests", 10, 1)


class Limits:
    """Limits with a clock of their own, and what was refused."""

    def __init__(self, *rules: LimitRule) -> None:
        self.now = 1000.0
        self.refused: list[tuple[str, str]] = []
        self.limits = RateLimits(observe=lambda *labels: self.refused.append(labels), clock=lambda: self.now)
        self.limits.become(rules)

    def begin(self, client: str = "a", model: str = "m", size: int = 0) -> Lease:
        lease = self.limits.lease(client, model, size)
        assert lease is not None
        lease.begin()
        return lease

    def refusal(self, client: str = "a", model: str = "m", size: int = 0) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            self.begin(client, model, size)
        return caught.value

    def admitted(self, tries: int, client: str = "a", model: str = "m") -> int:
        return sum(1 for _ in self._successes(tries, client, model))

    def _successes(self, tries: int, client: str, model: str) -> Iterator[None]:
        for _ in range(tries):
            try:
                self.begin(client, model).close()
            except GatewayError:
                continue
            yield


def test_a_rate_is_there_at_once_and_fills_up_evenly() -> None:
    there = Limits(LimitRule(ANY, ANY, (TEN,)))
    assert there.admitted(20) == 10
    error = there.refusal()
    assert (error.kind, error.limit, error.retry_after) == (ErrorKind.RATE_LIMITED, "ten", 1)
    assert error.message == (
        "this client may ask for 10 requests in 1 s (limit ten) of model 'm': 0 are left, 1 came; "
        "there are as many in 0.1 s"
    )
    there.now += 0.1
    assert there.admitted(20) == 1
    there.now += 0.5
    assert there.admitted(20) == 5
    there.now += 3600
    assert there.admitted(20) == 10
    assert set(there.refused) == {("m", "ten")}


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 12)), max_size=50))
def test_no_window_has_more_than_twice_the_rate(steps: list[tuple[float, int]]) -> None:
    there = Limits(LimitRule(ANY, ANY, (TEN,)))
    admitted: list[float] = []
    for wait, tries in steps:
        there.now += wait
        admitted += [there.now] * there.admitted(tries)
    for at in admitted:
        assert sum(at <= other <= at + 1 for other in admitted) <= 20


def test_the_advice_is_when_it_succeeds() -> None:
    there = Limits(LimitRule(ANY, ANY, (Rate("few", "requests", 3, 3600),)))
    assert there.admitted(5) == 3
    seconds = there.refusal().retry_after
    assert seconds == 1200
    there.now += seconds - 2
    assert there.admitted(1) == 0
    there.now += 2
    assert there.admitted(1) == 1


def test_each_client_and_each_model_is_counted_by_itself() -> None:
    there = Limits(LimitRule(ANY, ANY, (TEN,)))
    assert [there.admitted(20, client, model) for client in ("", "a", "b") for model in ("m", "n")] == [10] * 6


def test_the_first_rule_that_fits_holds() -> None:
    there = Limits(
        LimitRule(("gold-*", "silver"), ANY, (TEN,)),
        LimitRule(("free",), ("m",)),
        LimitRule(ANY, ("m*",), (Rate("two", "requests", 2, 1),)),
    )
    assert there.admitted(20, "gold-1", "other") == 10
    assert there.admitted(20, "silver", "m") == 10
    assert there.admitted(20, "free", "m") == 20
    assert there.admitted(20, "free", "m2") == 2
    assert there.admitted(20, "", "m") == 2
    assert there.limits.lease("", "n", 0) is None


def test_all_rates_of_a_rule_hold_and_what_is_refused_takes_nothing() -> None:
    there = Limits(LimitRule(ANY, ANY, (TEN, Rate("day", "requests", 12, 86_400))))
    assert there.admitted(20) == 10
    there.now += 1
    assert there.admitted(20) == 2
    assert there.refusal().limit == "day"
    lease = there.limits.lease("a", "m", 0)
    assert lease is not None
    assert [quota.left for quota in lease.quotas()] == [8, 0]


def test_rows_are_taken_once_they_are_known() -> None:
    there = Limits(LimitRule(ANY, ANY, (Rate("rows", "rows", 100, 10),)))
    there.begin().take_rows(70)
    with pytest.raises(GatewayError) as caught:
        there.begin().take_rows(40)
    assert (caught.value.kind, caught.value.limit, caught.value.retry_after) == (ErrorKind.RATE_LIMITED, "rows", 1)
    assert "30 are left, 40 came" in caught.value.message
    there.begin().take_rows(30)
    with pytest.raises(GatewayError) as caught:
        there.begin().take_rows(101)
    assert caught.value.kind is ErrorKind.TOO_LARGE
    assert caught.value.retry_after is None


def test_what_a_call_runs_beyond_its_first_rows_is_missing_later() -> None:
    there = Limits(LimitRule(ANY, ANY, (Rate("rows", "rows", 100, 10),)))
    lease = there.begin()
    lease.take_rows(100)
    lease.take_rows(50)
    assert lease.quotas()[0].left == 0
    there.now += 5
    with pytest.raises(GatewayError) as caught:
        there.begin().take_rows(1)
    assert caught.value.retry_after == 1
    there.now += 0.2
    there.begin().take_rows(1)


def test_requests_and_bytes_in_flight_are_given_back() -> None:
    there = Limits(LimitRule(ANY, ANY, requests=InFlight("two", 2), size=InFlight("bytes", 100)))
    one, two = there.begin(size=40), there.begin(size=40)
    assert there.refusal().limit == "two"
    assert there.begin("b").quotas() == []
    two.close()
    error = there.refusal(size=61)
    assert (error.kind, error.limit, error.retry_after) == (ErrorKind.RATE_LIMITED, "bytes", 1)
    assert there.refusal(size=101).kind is ErrorKind.TOO_LARGE
    there.begin(size=60).close()
    one.close()
    there.begin(size=100).close()
    assert there.refused == [("m", "two"), ("m", "bytes"), ("m", "bytes")]


def test_what_was_refused_gives_nothing_back() -> None:
    there = Limits(LimitRule(ANY, ANY, requests=InFlight("one", 1)))
    there.begin()
    refused = there.limits.lease("a", "m", 0)
    assert refused is not None
    with pytest.raises(GatewayError):
        refused.begin()
    refused.close()
    there.refusal()


def test_the_quotas_say_when_there_is_more() -> None:
    there = Limits(LimitRule(ANY, ANY, (Rate("slow", "requests", 4, 60), Rate("rows", "rows", 100, 1))))
    lease = there.limits.lease("a", "m", 0)
    assert lease is not None
    assert [(quota.left, quota.more_in) for quota in lease.quotas()] == [(4, None), (100, None)]
    lease.begin()
    [slow, rows] = lease.quotas()
    assert (slow.left, rows.more_in) == (3, None)
    assert slow.more_in == pytest.approx(15)
    there.now += 5
    assert lease.quotas()[0].more_in == pytest.approx(10)


def test_other_rules_take_effect_at_once_and_what_was_used_stays_used() -> None:
    there = Limits(LimitRule(ANY, ANY, (TEN,), requests=InFlight("in-flight", 5)))
    open_before = there.begin()
    assert there.admitted(7) == 7
    there.limits.become([LimitRule(ANY, ANY, (Rate("ten", "requests", 20, 1),), requests=InFlight("in-flight", 2))])
    also_open = there.begin()
    assert there.refusal().limit == "in-flight"
    open_before.close()
    also_open.close()
    assert there.admitted(20) == 20 - 9
    there.limits.become([])
    assert there.limits.lease("a", "m", 0) is None


def test_what_is_remembered_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "_MOST_ACCOUNTS", 100)
    there = Limits(LimitRule(ANY, ANY, (TEN,)))
    for number in range(1000):
        assert there.admitted(1, "regular") == (number < 10)
        there.begin(f"address:{number}").close()
    assert len(there.limits._accounts) == 100
