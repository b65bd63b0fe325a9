"""Many at a time, or one alone; nobody while it is closed."""

import asyncio

from service.backends.savedmodel.turns import Turns


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nobody_enters_before_it_opens_or_once_it_has_closed() -> None:
    turns = Turns()
    assert not turns.entered()
    waiting = [asyncio.create_task(turns.enter()) for _ in range(3)]
    alone = asyncio.create_task(turns.enter_alone())
    await settled()
    assert not any(task.done() for task in (*waiting, alone))
    turns.open()
    await asyncio.gather(*waiting)
    assert not alone.done()
    turns.close()
    for _ in waiting:
        turns.leave()
    await asyncio.sleep(0.05)
    assert not alone.done()
    turns.open()
    await asyncio.wait_for(alone, 5)


async def test_who_is_alone_has_nobody_beside_it() -> None:
    turns = Turns()
    turns.open()
    assert turns.entered()
    alone = asyncio.create_task(turns.enter_alone())
    await asyncio.sleep(0.05)
    assert not alone.done()
    assert not turns.entered()  # who waits to be alone is not passed by others for ever
    turns.leave()
    await asyncio.wait_for(alone, 5)
    others = [asyncio.create_task(turns.enter()) for _ in range(2)]
    another = asyncio.create_task(turns.enter_alone())
    await settled()
    assert not any(task.done() for task in (*others, another))
    turns.leave()
    turns.end_alone()
    await asyncio.wait_for(asyncio.gather(*others), 5)
    for _ in others:
        turns.leave()
    await asyncio.wait_for(another, 5)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    turns = Turns()
    turns.open()
    assert turns.entered()
    alone = asyncio.create_task(turns.enter_alone())
    waiting = asyncio.create_task(turns.enter())
    await settled()
    alone.cancel()
    waiting.cancel()
    await asyncio.gather(alone, waiting, return_exceptions=True)
    assert turns.entered()
