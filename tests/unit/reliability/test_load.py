"""The load: requests are sent when they are due, and their time counts from then on."""

import asyncio
import time

import pytest

from reliability.asking import code_of
from reliability.load import OK, WRONG, Answered, Outcomes, busy, quantile, steady
from reliability.replica_faults import back_to_normal
from tests.conftest import until


async def test_requests_do_not_wait_for_the_answers_of_others() -> None:
    answered = asyncio.Event()
    numbers: list[int] = []

    async def ask(number: int) -> str:
        numbers.append(number)
        await answered.wait()
        return OK

    async with steady(ask, rate=500, deadline=1) as outcomes:
        await until(lambda: len(numbers) >= 20)
        assert outcomes.answers == []
        answered.set()
    assert numbers == list(range(len(numbers)))
    assert len(outcomes.answers) == len(numbers)
    assert outcomes.success() == 1


async def test_the_time_of_a_request_counts_from_when_it_was_due() -> None:
    async def ask(number: int) -> str:
        if number == 0:
            time.sleep(0.2)  # noqa: ASYNC251  # the load itself cannot go on
        return OK

    async with steady(ask, rate=1000, deadline=0.05) as outcomes:
        await until(lambda: len(outcomes.answers) > 100)
    assert outcomes.lag > 0.1
    assert sum(answer.seconds > 0.1 for answer in outcomes.answers) > 10


async def test_what_a_request_raises_is_not_hidden() -> None:
    async def ask(_: int) -> str:
        raise ValueError

    with pytest.raises(ExceptionGroup):
        async with steady(ask, rate=1000, deadline=1):
            await asyncio.sleep(0.1)


async def test_outcomes_tell_the_failed_the_wrong_and_the_late() -> None:
    codes = [OK, WRONG, "HTTP 500", OK]
    outcomes = Outcomes(1.0, [Answered(10.0 + place, 0.5 + place, code) for place, code in enumerate(codes)])
    assert outcomes.failures() == {WRONG: 1, "HTTP 500": 1}
    assert outcomes.success() == 0.5
    assert outcomes.hanging() == 2
    assert outcomes.longest() == 3.5
    assert outcomes.last_failure_after(11.0) == 1.0
    assert [answer.at for answer in outcomes.between(11.0, 13.0)] == [11.0, 12.0]


async def test_busy_callers_ask_one_request_after_the_other() -> None:
    now = most = 0

    async def ask(_: int) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        return OK

    assert await busy(ask, callers=4, seconds=0.1)
    assert most == 4


def test_quantiles() -> None:
    assert [quantile([3, 1, 2, 4], share) for share in (0, 0.5, 0.99, 1)] == [1, 3, 4, 4]
    assert quantile([], 0.5) == 0


@pytest.mark.parametrize(
    ("seconds", "normal_after"),
    [
        ([1] * 8, 0),
        ([9, 9, 1, 1, 1, 1, 1, 1], 2),
        ([9, 1, 9, 1, 1, 1, 1, 1], 3),
        ([1, 1, 1, 1, 9, 1, 1, 1], 0),  # one that stands out later is the machine's
        ([1, 1, 1, 9, 9, 1, 1, 1], 5),
        ([9] * 8, 8),
    ],
)
def test_back_to_normal(seconds: list[float], normal_after: float) -> None:
    answers = [Answered(100 + place + 0.5, each, OK) for place, each in enumerate(seconds)]
    assert back_to_normal(Outcomes(20.0, answers), 100, 108, normal=2.0) == normal_after


async def test_an_answer_to_another_request_is_wrong() -> None:
    async def told(right: bool) -> bool:
        return right

    assert [await code_of(told(right)) for right in (True, False)] == [OK, WRONG]
