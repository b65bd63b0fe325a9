"""A lock with many shared holders or one exclusive one, behind a gate: while that is closed, nobody gets the lock."""

import asyncio


class SharedLock:
    """A shared/exclusive lock with a gate, which is closed at first."""

    def __init__(self) -> None:
        self._holders = 0
        self._opened = asyncio.Event()
        self._released = asyncio.Event()
        self._exclusive = asyncio.Lock()

    def open(self) -> None:
        """Opens the gate: those who wait go on."""
        self._opened.set()

    def close(self) -> None:
        """Closes the gate: nobody gets the lock any more; those who have it keep it."""
        self._opened.clear()

    def try_acquire(self) -> bool:
        """Acquires the lock shared if that takes no wait; returns whether it did."""
        if self._exclusive.locked() or not self._opened.is_set():
            return False
        self._holders += 1
        return True

    async def acquire(self) -> None:
        """Acquires the lock shared; waits for an exclusive holder, and for whoever waits to be one."""
        while not self.try_acquire():
            async with self._exclusive:
                await self._opened.wait()

    def release(self) -> None:
        """Releases the lock of a shared holder."""
        self._holders -= 1
        self._released.set()

    async def acquire_exclusive(self) -> None:
        """Acquires the lock exclusively; waits until nobody else holds it."""
        await self._exclusive.acquire()
        try:
            while self._holders or not self._opened.is_set():
                self._released.clear()
                await (self._released if self._holders else self._opened).wait()
        except BaseException:
            self._exclusive.release()
            raise
        self._holders += 1

    def release_exclusive(self) -> None:
        """Releases the lock of the exclusive holder."""
        self.release()
        self._exclusive.release()
