"""Work that would keep the event loop from everybody else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

INLINE_BYTES = 256 * 1024
"""Work on fewer bytes is done sooner than a thread would begin it."""


async def offloaded(size: int, work: Callable[[], Result]) -> Result:
    """Does the work at once if it is about few bytes, else on a thread.

    Args:
        size: Bytes that are worked on.
        work: Must not touch what belongs to the event loop.
    """
    if size <= INLINE_BYTES:
        return work()
    return await asyncio.to_thread(work)


class FewAtATime:
    """Does the same for work that takes much memory: no more of it at a time than there are threads.

    Args:
        threads: How many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads)

    async def offloaded(self, size: int, work: Callable[[], Result]) -> Result:
        """Does the work at once if it is about few bytes, else on a thread, when one is free.

        Args:
            size: Bytes that are worked on.
            work: Must not touch what belongs to the event loop.
        """
        if size <= INLINE_BYTES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
