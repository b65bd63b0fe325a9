from service.backends.tfserving.breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def failing(breaker: Breaker) -> int:
    """Returns how many failures it takes."""
    for count in range(1, 100):
        if breaker.failed():
            return count
    raise AssertionError


def test_it_opens_after_some_failures_in_a_row_and_only_those() -> None:
    breaker = Breaker()
    assert failing(breaker) == 10
    breaker = Breaker()
    for _ in range(9):
        assert not any(breaker.failed() for _ in range(9))
        breaker.succeeded()
    assert breaker.opened is None


def test_it_closes_on_a_probe_once_its_time_is_over_and_opens_for_longer_each_time() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    failing(breaker)
    waits = []
    for _ in range(7):
        began = clock.now
        while not breaker.probed():
            clock.now += 0.5
        waits.append(clock.now - began)
        assert breaker.opened is None
        assert failing(breaker) == 1  # one more failure is enough when it is back
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_success_when_it_is_back_forgets_the_past() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    failing(breaker)
    clock.now += 60
    assert breaker.probed()
    breaker.succeeded()
    assert failing(breaker) == 10
    clock.now += 1
    assert breaker.probed()


def test_what_cannot_be_reached_is_out_at_once_and_back_with_its_first_answer() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    assert breaker.unreachable()
    assert not breaker.unreachable()
    assert not breaker.failed()
    clock.now += 2.5
    assert breaker.unreachable_seconds() == 2.5
    assert breaker.probed()
    assert not breaker.probed()
    assert breaker.unreachable_seconds() == 0
