"""Steady load: requests are sent when they are due, whether or not those before them were answered."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

OK, WRONG, OVERLOADED = "ok", "wrong", "overloaded"
"""Codes: the right answer, the answer to another request, and a refusal for lack of room. All others are failures."""
_LATE = 1.0
"""A request that takes so many seconds beyond its deadline hangs."""

Ask = Callable[[int], Awaitable[str]]
"""Sends the request of a number, and returns the code of what came back."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one request.

    Attributes:
        at: When it was to be sent, by the monotonic clock.
        seconds: From then until it was over.
        code: `OK`, `WRONG`, `OVERLOADED`, or what the failure says.
    """

    at: float
    seconds: float
    code: str


@dataclass(slots=True)
class Outcomes:
    """What came of all requests.

    Attributes:
        deadline: Seconds that each was allowed.
        answers: In the order in which they were over.
        lag: The longest that a request was sent after it was due, in seconds: what the load itself could not do.
    """

    deadline: float
    answers: list[Answered] = field(default_factory=list)
    lag: float = 0.0

    def failures(self) -> Counter[str]:
        """Returns how many requests failed, by what."""
        return Counter(answer.code for answer in self.answers if answer.code != OK)

    def success(self) -> float:
        """Returns the share of requests that succeeded."""
        return 1 - self.failures().total() / len(self.answers)

    def hanging(self) -> int:
        """Returns how many took longer than they were allowed."""
        return sum(answer.seconds > self.deadline + _LATE for answer in self.answers)

    def longest(self) -> float:
        """Returns the longest that a request took, in seconds."""
        return max(answer.seconds for answer in self.answers)

    def last_failure_after(self, moment: float) -> float:
        """Returns how many seconds after a moment the last failed request was sent; 0 when none failed."""
        return max((answer.at - moment for answer in self.answers if answer.code != OK), default=0.0)

    def between(self, start: float, end: float) -> list[Answered]:
        """Returns those that were to be sent between two moments."""
        return [answer for answer in self.answers if start <= answer.at < end]

    def seconds(self, code: str = OK) -> list[float]:
        """Returns how long those with a code took."""
        return [answer.seconds for answer in self.answers if answer.code == code]


def quantile(values: Iterable[float], share: float) -> float:
    """Returns the value that so many of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


@asynccontextmanager
async def steady(ask: Ask, *, rate: float, deadline: float, seed: int = 0) -> AsyncIterator[Outcomes]:
    """Sends requests while the body runs, so many a second at random moments, as from many clients.

    Outcomes are complete when it is over.

    Raises:
        Exception: What `ask` raised: it is to return what a request failed with.
    """
    outcomes = Outcomes(deadline)
    sending = asyncio.create_task(_send(ask, rate, outcomes, Random(seed)))
    try:
        yield outcomes
    finally:
        sending.cancel()
        [ended] = await asyncio.gather(sending, return_exceptions=True)
    if isinstance(ended, ExceptionGroup):
        raise ended


async def busy(ask: Ask, *, callers: int, seconds: float) -> Sequence[Answered]:
    """Asks for that long, always so many requests at a time; returns what came back within it."""
    answers: list[Answered] = []
    end = time.monotonic() + seconds

    async def call(number: int) -> None:
        while (at := time.monotonic()) < end:
            code = await ask(number)
            answers.append(Answered(at, time.monotonic() - at, code))
            number += callers

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(call(number))
    return [answer for answer in answers if answer.at + answer.seconds <= end]


async def _send(ask: Ask, rate: float, outcomes: Outcomes, random: Random) -> None:
    async def answered(number: int, at: float) -> None:
        code = await ask(number)
        outcomes.answers.append(Answered(at, time.monotonic() - at, code))

    due, number = time.monotonic(), 0
    stopped = asyncio.CancelledError()
    async with asyncio.TaskGroup() as group:
        try:
            while True:
                due += random.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                outcomes.lag = max(outcomes.lag, time.monotonic() - due)
                group.create_task(answered(number, due))
                number += 1
        except asyncio.CancelledError as cancelled:
            stopped = cancelled  # those that are under way are waited for
    raise stopped
