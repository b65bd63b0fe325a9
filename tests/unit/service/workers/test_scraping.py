"""What is told of workers that come, go, and do not answer."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.workers import scraping
from service.workers.link import Link
from service.workers.scraping import SharedMetrics


class Counting:
    """A worker that counts.

    Attributes:
        count: What it has counted.
        mute: Set while it answers nothing.
        scraped: What it was told with each question.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mute = False
        self.scraped: list[bool] = []
        ours, its = socket.socketpair()
        self.link = Link(ours, self._nothing)
        self._its_link = Link(its, self._answer)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(link.run()) for link in (self.link, self._its_link)]
        while not self.scraped:
            with contextlib.suppress(ConnectionError):  # not connected yet
                await self.link.ask("collect", False)
            await asyncio.sleep(0)
        self.scraped.clear()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _nothing(self, what: str, body: Any) -> Any:
        raise AssertionError(what)

    async def _answer(self, what: str, body: Any) -> Any:
        self.scraped.append(body)
        if self.mute:
            await asyncio.Event().wait()
        return [["asked", "", "counter", [["asked_total", [], float(self.count)]]]]


@asynccontextmanager
async def counting(metrics: SharedMetrics) -> AsyncIterator[Counting]:
    worker = Counting()
    await worker.start()
    metrics.joined(worker.link)
    try:
        yield worker
    finally:
        await worker.end()


def told(metrics: SharedMetrics) -> dict[str, float]:
    return {sample[0]: sample[2] for family in metrics.told() for sample in family[3]}


async def test_what_ended_stays_in_the_sums_and_counts_once() -> None:
    metrics = SharedMetrics()
    async with counting(metrics) as first, counting(metrics) as second:
        first.count, second.count = 3, 4
        await metrics.look(scraped=True)
        assert told(metrics) == {"asked_total": 7, "tensorgate_workers": 2, "tensorgate_worker_restarts_total": 0}
        await first.end()
        await metrics.look(scraped=False)
        assert told(metrics)["asked_total"] == 7
        metrics.left(first.link)
        metrics.restarted()
        await metrics.look(scraped=True)
        assert told(metrics) == {"asked_total": 7, "tensorgate_workers": 1, "tensorgate_worker_restarts_total": 1}
        assert second.scraped == [True, False, True]
        async with counting(metrics) as third:
            third.count = 1
            await metrics.look(scraped=True)
            assert told(metrics)["asked_total"] == 8


async def test_of_who_does_not_answer_the_last_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scraping, "_ANSWER_SECONDS", 0.05)
    metrics = SharedMetrics()
    async with counting(metrics) as first, counting(metrics) as second:
        first.count, second.count = 3, 4
        await metrics.look(scraped=True)
        first.mute = True
        first.count, second.count = 30, 40
        await metrics.look(scraped=True)
        assert told(metrics)["asked_total"] == 43
        first.mute = False
        await metrics.look(scraped=True)
        assert told(metrics)["asked_total"] == 70


async def test_who_ends_while_it_is_asked_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = SharedMetrics()
    async with counting(metrics) as worker:
        worker.count = 3
        await metrics.look(scraped=True)
        looking = asyncio.create_task(metrics.look(scraped=True))
        await asyncio.sleep(0)
        metrics.left(worker.link)
        await looking
        assert told(metrics)["asked_total"] == 3


async def test_the_end_of_a_link_ends_the_questions_on_it() -> None:
    metrics = SharedMetrics()
    async with counting(metrics) as worker:
        worker.mute = True
        asking = asyncio.create_task(worker.link.ask("collect", True))
        while not worker.scraped:  # noqa: ASYNC110  # what is waited for is no event
            await asyncio.sleep(0)
        await worker.end()
        with pytest.raises(ConnectionError):
            await asking
        with pytest.raises(ConnectionError):
            await worker.link.ask("collect", True)
