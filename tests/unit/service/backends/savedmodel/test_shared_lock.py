"""Many shared holders, or one exclusive one; nobody while the gate is closed."""

import asyncio

from service.backends.savedmodel.shared_lock import SharedLock


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nobody_gets_it_before_it_opens_or_once_it_has_closed() -> None:
    lock = SharedLock()
    assert not lock.try_acquire()
    waiting = [asyncio.create_task(lock.acquire()) for _ in range(3)]
    exclusive = asyncio.create_task(lock.acquire_exclusive())
    await settled()
    assert not any(task.done() for task in (*waiting, exclusive))
    lock.open()
    await asyncio.gather(*waiting)
    assert not exclusive.done()
    lock.close()
    for _ in waiting:
        lock.release()
    await asyncio.sleep(0.05)
    assert not exclusive.done()
    lock.open()
    await asyncio.wait_for(exclusive, 5)


async def test_an_exclusive_holder_is_the_only_one() -> None:
    lock = SharedLock()
    lock.open()
    assert lock.try_acquire()
    exclusive = asyncio.create_task(lock.acquire_exclusive())
    await asyncio.sleep(0.05)
    assert not exclusive.done()
    assert not lock.try_acquire()  # or whoever waits to be exclusive could be passed by for ever
    lock.release()
    await asyncio.wait_for(exclusive, 5)
    others = [asyncio.create_task(lock.acquire()) for _ in range(2)]
    another = asyncio.create_task(lock.acquire_exclusive())
    await settled()
    assert not any(task.done() for task in (*others, another))
    lock.release_exclusive()
    await asyncio.wait_for(asyncio.gather(*others), 5)
    for _ in others:
        lock.release()
    await asyncio.wait_for(another, 5)


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    lock = SharedLock()
    lock.open()
    assert lock.try_acquire()
    exclusive = asyncio.create_task(lock.acquire_exclusive())
    waiting = asyncio.create_task(lock.acquire())
    await settled()
    exclusive.cancel()
    waiting.cancel()
    await asyncio.gather(exclusive, waiting, return_exceptions=True)
    assert lock.try_acquire()
