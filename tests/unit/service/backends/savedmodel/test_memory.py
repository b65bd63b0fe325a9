"""The memory that models take: which versions leave it, when, and who waits for them; with models that are none."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.backends.registry import MemoryBound
from service.backends.savedmodel.folder import FoundVersion
from service.backends.savedmodel.memory import Memory
from service.backends.savedmodel.resident import Held, Resident
from service.errors import ErrorKind, GatewayError
from tests.conftest import until

SIZE = 10


class Observed:
    """What is observed of memory."""

    def __init__(self) -> None:
        self.size = 0
        self.evictions: list[str] = []

    def taken(self, size: int) -> None:
        self.size = size

    def evicted(self, model: str) -> None:
        self.evictions.append(model)


class Kept:
    """A memory with room for two, and versions that are reloaded as soon as they may be.

    Attributes:
        failure: What a reload raises, while it is set.
        gate: While it is cleared, nothing is loaded.
    """

    def __init__(self, *, wait: float = 30.0, waiting: int = 4) -> None:
        self.observed = Observed()
        bound = MemoryBound(2 * SIZE, wait, waiting, self.observed)
        self.memory = Memory(bound, reload=self._reload)
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.loads = 0
        self._changing = asyncio.Lock()

    def resident(self, name: str) -> Resident:
        return self.memory.resident((name, 1), FoundVersion(Path(name)))

    async def loaded(self, *names: str) -> list[Resident]:
        residents = [self.resident(name) for name in names]
        for resident in residents:
            await self._reload(resident, False)
        return residents

    async def _reload(self, resident: Resident, beside: bool) -> None:
        async with self._changing:
            if beside and not self.memory.has_room(SIZE):
                return
            await self.memory.make_room(SIZE)
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            self.loads += 1
            taken = self.memory.take(SIZE)
            model: Any = _Model(taken.give_back)
            resident.put(Held(model, taken))
            resident.settle()


class _Model:
    def __init__(self, ended: Any) -> None:
        self._ended = ended

    def __del__(self) -> None:
        self._ended()


async def test_the_one_that_was_not_used_the_longest_leaves_and_of_those_in_use_the_last_resort() -> None:
    kept = Kept()
    a, b = await kept.loaded("a", "b")
    a.enter()
    a.leave()
    [c] = await kept.loaded("c")
    assert [each.is_loaded for each in (a, b, c)] == [True, False, True]
    a.enter()  # it was used the longest ago, and is in use
    assert await b.load(10)
    assert [each.is_loaded for each in (a, b, c)] == [True, True, False]
    assert kept.observed.evictions == ["b", "c"]
    assert kept.observed.size == 2 * SIZE


async def test_one_in_use_takes_nobody_any_more_and_leaves_with_its_last_user() -> None:
    kept = Kept()
    a, b = await kept.loaded("a", "b")
    for each in (a, b):
        each.enter()
    c = kept.resident("c")
    waiting = asyncio.create_task(c.load(10))
    await until(lambda: not a.is_loaded)
    assert a.model is not None
    assert b.is_loaded
    a.leave()
    assert await waiting
    assert a.model is None
    assert c.is_used


async def test_what_finds_no_room_in_time_leaves_all_as_it_is() -> None:
    kept = Kept(wait=0.1)
    a, b = await kept.loaded("a", "b")
    for each in (a, b):
        each.enter()
    c = kept.resident("c")
    with pytest.raises(GatewayError) as refused:
        await c.load(10)
    assert refused.value.kind is ErrorKind.NOT_READY
    await until(lambda: a.is_loaded)
    assert b.is_loaded
    assert not await c.load_beside()
    assert kept.observed.evictions == []


async def test_one_that_stays_in_use_does_not_keep_those_in_memory_that_became_idle() -> None:
    kept = Kept()
    a, b = await kept.loaded("a", "b")
    for each in (a, b):
        each.enter()
    c = kept.resident("c")
    waiting = asyncio.create_task(c.load(10))
    await until(lambda: not a.is_loaded)  # it was used the longest ago, and goes on to be
    b.leave()
    assert await waiting
    assert not b.is_loaded


async def test_one_that_was_dropped_is_not_counted_as_leaving_twice() -> None:
    kept = Kept()
    a, b = await kept.loaded("a", "b")
    a.enter()
    a.end()
    [c] = await kept.loaded("c")
    assert c.is_loaded
    assert not b.is_loaded


async def test_those_who_wait_share_a_load_and_whoever_gives_up_does_not_count() -> None:
    kept = Kept(waiting=3)
    kept.gate.clear()
    a = kept.resident("a")
    waiting = [asyncio.create_task(a.load(10)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(GatewayError) as refused:
        await a.load(10)
    assert refused.value.kind is ErrorKind.OVERLOADED
    waiting[0].cancel()
    await asyncio.sleep(0)
    kept.gate.set()
    assert await asyncio.gather(*waiting[1:]) == [True, True]
    assert kept.loads == 1
    for _ in range(2):
        assert a.is_used
        a.leave()
    assert not a.is_used


async def test_a_load_that_fails_lets_those_go_on_who_wait() -> None:
    kept = Kept()
    kept.failure = GatewayError(ErrorKind.NOT_READY, "there is no room for it")
    a = kept.resident("a")
    with pytest.raises(GatewayError, match="not in memory, and there is no room"):
        await a.load(10)
    kept.failure = None
    assert await a.load(10)  # it is tried anew


async def test_without_a_bound_nothing_leaves() -> None:
    memory = Memory()
    resident = memory.resident(("a", 1), FoundVersion(Path("a")))
    assert resident.residence is None
    assert memory.has_room(10**18)
    assert memory.reason_against(10**18) == ""
    await memory.make_room(10**18)
