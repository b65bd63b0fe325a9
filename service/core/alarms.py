"""Alarms that hardly ever go off, such as deadlines: setting one and clearing it costs next to nothing.

A timer of the event loop is made, and let go of, in turns of the loop, which costs a request more than what it is
there for. Here an alarm only waits in a set, together with those of the same moment; when that moment comes, those that
are still there get a timer each.
"""

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

_SLOTS_A_SECOND = 16


class Alarm:
    """One alarm, on the running loop; it must be cleared.

    Args:
        at: When it goes off, by the loop's clock.
        ring: Called then.
    """

    __slots__ = ("_ring", "_slot", "_timer", "at")

    def __init__(self, at: float, ring: Callable[[], None]) -> None:
        self.at = at
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        slots = _of_loops.get(loop)
        if slots is None:
            slots = _of_loops[loop] = _Slots()
        self._slot = slots.slot(at, loop)
        if self._slot is None:
            self.wait_alone(loop)
        else:
            self._slot.add(self)

    def wait_alone(self, loop: asyncio.AbstractEventLoop) -> None:
        """Waits with a timer of its own from now on."""
        self._slot = None
        self._timer = loop.call_at(self.at, self._ring)

    def clear(self) -> None:
        """Has it not go off any more."""
        if self._slot is not None:
            self._slot.discard(self)
        elif self._timer is not None:
            self._timer.cancel()


class _Slots:
    """The alarms of one loop: those that go off in the same sixteenth of a second share a slot."""

    def __init__(self) -> None:
        self._slots: dict[int, set[Alarm]] = {}

    def slot(self, at: float, loop: asyncio.AbstractEventLoop) -> set[Alarm] | None:
        """Returns the slot of that moment; ``None`` when it has been opened already."""
        number = int(at * _SLOTS_A_SECOND)
        slot = self._slots.get(number)
        if slot is None and number > loop.time() * _SLOTS_A_SECOND:
            slot = self._slots[number] = set()
            loop.call_at(number / _SLOTS_A_SECOND, self._open, number)
        return slot

    def _open(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        for alarm in self._slots.pop(number):
            alarm.wait_alone(loop)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Slots] = WeakKeyDictionary()
