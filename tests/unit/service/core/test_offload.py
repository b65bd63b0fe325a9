import asyncio
import threading

import pytest

from service.core.offload import INLINE_BYTES, FewAtATime, offloaded
from tests.conftest import until


@pytest.mark.parametrize(("size", "inline"), [(0, True), (INLINE_BYTES, True), (INLINE_BYTES + 1, False)])
async def test_what_is_large_is_done_on_a_thread(size: int, inline: bool) -> None:
    for offload in (offloaded, FewAtATime(1).offloaded):
        assert (await offload(size, threading.current_thread) is threading.current_thread()) == inline


async def test_its_errors_come_back() -> None:
    for offload in (offloaded, FewAtATime(1).offloaded):
        with pytest.raises(ZeroDivisionError):
            await offload(INLINE_BYTES + 1, lambda: 1 // 0)


async def test_no_more_is_done_at_a_time_than_there_are_threads_also_for_those_who_gave_up() -> None:
    few, begun, gate = FewAtATime(2), threading.Semaphore(0), threading.Event()
    running: list[int] = []

    def work(number: int) -> None:
        running.append(number)
        begun.release()
        gate.wait()

    tasks = [asyncio.create_task(few.offloaded(INLINE_BYTES + 1, lambda n=number: work(n))) for number in range(4)]  # type: ignore[misc]
    await until(lambda: len(running) == 2)
    tasks[0].cancel()  # its thread is not free for that
    tasks[2].cancel()  # nothing of it is ever begun
    await asyncio.wait(tasks[:1])
    assert running == [0, 1]
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert running == [0, 1, 3]
