from service.backends.tfserving.breaker import BreakerState, CircuitBreaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def failing(breaker: CircuitBreaker) -> int:
    """Returns how many failures it takes."""
    for count in range(1, 100):
        if breaker.record_failure():
            return count
    raise AssertionError


def state_of(breaker: CircuitBreaker) -> BreakerState:
    return breaker.state


def probed(breaker: CircuitBreaker) -> BreakerState:
    breaker.record_probe()
    return breaker.state


def test_it_opens_after_some_failures_in_a_row_and_only_those() -> None:
    breaker = CircuitBreaker()
    assert failing(breaker) == 10
    breaker = CircuitBreaker()
    for _ in range(9):
        assert not any(breaker.record_failure() for _ in range(9))
        breaker.record_success()
    assert state_of(breaker) is BreakerState.CLOSED


def test_a_probe_half_opens_it_once_its_time_is_over_and_it_opens_for_longer_each_time() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    failing(breaker)
    waits = []
    for _ in range(7):
        began = clock.now
        while probed(breaker) is BreakerState.OPEN:
            clock.now += 0.5
        waits.append(clock.now - began)
        assert state_of(breaker) is BreakerState.HALF_OPEN
        assert failing(breaker) == 1
        assert state_of(breaker) is BreakerState.OPEN
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_success_closes_it_and_forgets_the_past() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    failing(breaker)
    clock.now += 60
    assert probed(breaker) is BreakerState.HALF_OPEN
    breaker.record_success()
    assert state_of(breaker) is BreakerState.CLOSED
    assert failing(breaker) == 10
    clock.now += 1
    assert probed(breaker) is BreakerState.HALF_OPEN


def test_what_cannot_be_reached_is_out_at_once_and_back_with_its_first_answer() -> None:
    clock = Clock()
    breaker = CircuitBreaker(clock)
    assert breaker.record_unreachable()
    assert not breaker.record_unreachable()
    assert not breaker.record_failure()
    clock.now += 2.5
    assert breaker.unreachable_seconds() == 2.5
    assert probed(breaker) is BreakerState.CLOSED
    assert breaker.unreachable_seconds() == 0
