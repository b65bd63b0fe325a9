from service.core.retry_budget import RetryBudget


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def spent(budget: RetryBudget) -> int:
    """Returns how many retries it allows now."""
    count = 0
    while budget.take_retry():
        count += 1
    return count


def test_a_few_retries_a_second_are_always_allowed() -> None:
    clock = Clock()
    budget = RetryBudget(ratio=0.2, per_second=10, clock=clock)
    assert spent(budget) == 10
    clock.now += 0.5
    assert spent(budget) == 5
    clock.now += 1000
    assert spent(budget) == 100  # what was saved up is bounded


def test_beyond_these_retries_are_a_share_of_the_requests() -> None:
    budget = RetryBudget(ratio=0.25, per_second=0, clock=Clock())
    assert spent(budget) == 0
    for _ in range(40):
        budget.add_run()
    assert spent(budget) == 10
