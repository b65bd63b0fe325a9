"""Work that would keep the event loop from everybody else."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

INLINE_BYTES = 256 * 1024
"""What is smaller is done sooner than a thread takes it up."""


async def offloaded(size: int, work: Callable[[], Result]) -> Result:
    """Does the work at once if it is about few bytes, else on a thread.

    Args:
        size: Of what is worked on, in bytes.
        work: Must not touch what belongs to the event loop.
    """
    if size <= INLINE_BYTES:
        return work()
    return await asyncio.to_thread(work)
