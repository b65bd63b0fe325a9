"""The metrics of all workers, of those that ended too: what one of them counted stays in the sums."""

import asyncio
from typing import Any

from service.telemetry.merging import Families, Family, families_of, lasting, merged
from service.workers.link import Link

_ANSWER_SECONDS = 1.0


class SharedMetrics:
    """What the workers tell. Of one that does not answer in time, what it told last is told again."""

    def __init__(self) -> None:
        self._past: Families = {}
        self._last: dict[Link, Families] = {}
        self._restarts = 0

    def joined(self, link: Link) -> None:
        """Takes a worker in."""
        self._last[link] = {}

    def left(self, link: Link) -> None:
        """Keeps what a worker that ended had counted, as far as it is known."""
        self._past = merged(self._past, lasting(self._last.pop(link, {})))

    def restarted(self) -> None:
        """Counts that a worker was started again."""
        self._restarts += 1

    async def look(self, *, scraped: bool) -> None:
        """Asks all workers.

        Args:
            scraped: Whether what they tell will be told; they then forget what is over.
        """
        await asyncio.gather(*(self._ask(link, scraped=scraped) for link in tuple(self._last)))

    def told(self) -> list[Any]:
        """Returns the metrics of all, as JSON can hold them."""
        families = merged(*self._last.values(), self._past)
        running, restarts = "tensorgate_workers", "tensorgate_worker_restarts"
        families[running] = Family(
            running, "Processes that serve here together.", "gauge", {(running, ()): float(len(self._last))}
        )
        families[restarts] = Family(
            restarts,
            "Times that one of them ended by itself and was started again.",
            "counter",
            {(f"{restarts}_total", ()): float(self._restarts)},
        )
        return [family.plain() for family in families.values()]

    async def _ask(self, link: Link, *, scraped: bool) -> None:
        try:
            plain = await asyncio.wait_for(link.ask("collect", scraped), _ANSWER_SECONDS)
        except (ConnectionError, TimeoutError):
            return
        if plain is not None and link in self._last:  # else it ended in between, and is counted among what is over
            self._last[link] = families_of(plain)
