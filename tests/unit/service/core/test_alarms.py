"""Alarms go off when it is time, and not when they were cleared."""

import asyncio
import time

from service.core.alarms import Alarm


async def test_alarms_go_off_at_their_time_and_in_their_order() -> None:
    began = time.monotonic()
    rung: list[float] = []
    waits = (0.3, 0.0, 0.15, 0.02, 0.151)
    for wait in waits:
        Alarm(began + wait, lambda wait=wait: rung.append(wait))  # type: ignore[misc]
    while len(rung) < len(waits):
        assert all(time.monotonic() >= began + wait for wait in rung)
        await asyncio.sleep(0.005)
    assert rung == sorted(waits)


async def test_what_was_cleared_stays_silent_whether_its_moment_has_come_or_not() -> None:
    rung: list[str] = []
    now = time.monotonic()
    far, near, other = (
        Alarm(now + seconds, lambda name=name: rung.append(name))  # type: ignore[misc]
        for name, seconds in (("far", 0.2), ("near", 0.0), ("other", 0.2))
    )
    near.clear()
    far.clear()
    await asyncio.sleep(0.3)
    assert rung == ["other"]
    other.clear()


async def test_an_alarm_that_has_a_timer_of_its_own_can_be_cleared() -> None:
    rung: list[str] = []
    moment = (int(time.monotonic() * 16) + 2) / 16
    alarm = Alarm(moment + 0.06, lambda: rung.append("late"))
    await asyncio.sleep(moment - time.monotonic() + 0.02)  # its slot was opened
    alarm.clear()
    await asyncio.sleep(0.1)
    assert rung == []
