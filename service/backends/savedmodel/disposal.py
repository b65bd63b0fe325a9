"""Has what takes a while to end do so on a thread of its own, so that no thread that answers waits for it."""

import threading
import weakref
from collections.abc import Callable, Iterable
from queue import SimpleQueue


class Disposal:
    """Waits for objects to go, and then does what is to be done.

    Objects may go at any moment, on any thread, and while it holds any lock: so the queue is one that may be put into
    even then, which pools and other queues are not.
    """

    def __init__(self) -> None:
        self._pending: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="disposal", daemon=True).start()

    def after(self, thing: object, *works: Callable[[], None]) -> None:
        """Does the works, one after the other, once the thing is gone; they must not refer to the thing."""
        weakref.finalize(thing, self._put, works).atexit = False

    def _put(self, works: Iterable[Callable[[], None]]) -> None:
        for work in works:
            self._pending.put(work)

    def close(self) -> None:
        """Does no more once all that waits is done."""
        self._pending.put(None)

    def _run(self) -> None:
        while (work := self._pending.get()) is not None:
            work()
            del work  # it may be what keeps what it ended
