"""Frees what takes long to free on a thread of its own, so that no thread that answers requests waits for it."""

import threading
import weakref
from collections.abc import Callable, Iterable
from queue import SimpleQueue


class Disposal:
    """Does work once an object has been freed.

    An object may be freed at any moment, on any thread, and while that holds any lock. So the queue has to be
    reentrant, as `SimpleQueue` alone is.
    """

    def __init__(self) -> None:
        self._pending: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="disposal", daemon=True).start()

    def after(self, thing: object, *works: Callable[[], None]) -> None:
        """Calls these one after the other once the thing has been freed; they must not refer to it."""
        weakref.finalize(thing, self._put, works).atexit = False

    def _put(self, works: Iterable[Callable[[], None]]) -> None:
        for work in works:
            self._pending.put(work)

    def close(self) -> None:
        """Ends the thread once all pending work is done."""
        self._pending.put(None)

    def _run(self) -> None:
        while (work := self._pending.get()) is not None:
            work()
            del work  # or it would keep alive what it refers to
