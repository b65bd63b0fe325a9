"""Deadlines share a timer, and each is held to."""

import asyncio
import time

import pytest

from service.core.deadline import Deadline
from service.errors import ErrorKind, GatewayError


async def _wait(seconds: float, ended: list[float], work: float = 60) -> None:
    try:
        with Deadline.after(seconds).enforced():
            await asyncio.sleep(work)
    except GatewayError as error:
        assert error.kind is ErrorKind.TIMEOUT
        ended.append(seconds)


@pytest.mark.parametrize("order", [(0.05, 0.15, 0.25), (0.25, 0.15, 0.05), (0.15, 0.25, 0.05)])
async def test_each_passes_in_its_turn_whatever_the_order_in_which_they_came(order: tuple[float, ...]) -> None:
    ended: list[float] = []
    await asyncio.gather(*(_wait(seconds, ended) for seconds in order))
    assert ended == sorted(order)


async def test_none_passes_early() -> None:
    ended: list[float] = []
    before = time.monotonic()
    await _wait(0.1, ended)
    assert time.monotonic() - before > 0.09


async def test_one_whose_body_has_ended_leaves_the_others_theirs() -> None:
    ended: list[float] = []
    await asyncio.gather(_wait(0.05, ended, work=0), _wait(0.1, ended))
    assert ended == [0.1]
    await asyncio.sleep(0.1)  # nothing is cancelled any more


async def test_one_that_comes_after_all_others_have_passed_is_held_to() -> None:
    ended: list[float] = []
    await _wait(0.02, ended)
    await _wait(0.03, ended)
    assert ended == [0.02, 0.03]


def test_what_a_timer_may_cancel_has_passed() -> None:
    assert Deadline.after(0.0005).has_passed
    assert Deadline.after(-1).has_passed
    assert not Deadline.after(10).has_passed
