"""Who may be inside: many at a time, or one alone; and nobody while it is closed."""

import asyncio


class Turns:
    """Lets tasks in; closed at first."""

    def __init__(self) -> None:
        self._inside = 0
        self._opened = asyncio.Event()
        self._left = asyncio.Event()
        self._alone = asyncio.Lock()

    def open(self) -> None:
        """Lets in who waits."""
        self._opened.set()

    def close(self) -> None:
        """Lets nobody in; those inside stay."""
        self._opened.clear()

    def entered(self) -> bool:
        """Enters, where nobody has to be waited for; returns whether. Who has entered must leave."""
        if self._alone.locked() or not self._opened.is_set():
            return False
        self._inside += 1
        return True

    async def enter(self) -> None:
        """Waits until nobody is alone inside, and enters; who has entered must leave."""
        while not self.entered():
            async with self._alone:
                await self._opened.wait()

    async def enter_alone(self) -> None:
        """Waits until nobody is inside, and enters, alone; who has entered must leave, and `end_alone`."""
        await self._alone.acquire()
        try:
            while self._inside or not self._opened.is_set():
                self._left.clear()
                await (self._left if self._inside else self._opened).wait()
        except BaseException:
            self._alone.release()
            raise
        self._inside += 1

    def end_alone(self) -> None:
        """Lets others in as well."""
        self._alone.release()

    def leave(self) -> None:
        """Leaves."""
        self._inside -= 1
        self._left.set()
