import asyncio
import threading

import pytest

from service.core.admission import Admission
from service.core.offload import offloaded
from service.errors import ErrorKind, GatewayError


async def test_a_thread_that_outlives_its_request_takes_nothing() -> None:
    admission = Admission(requests=1, streams=1, request_bytes=1000)
    begun, over = threading.Event(), threading.Event()
    outcome: list[ErrorKind] = []

    async def request() -> None:
        with admission.admitted(None) as held:
            held.take(10)

            def work() -> None:
                begun.set()
                over.wait(10)
                try:
                    held.take(900)
                except GatewayError as error:
                    outcome.append(error.kind)

            await offloaded(10**9, work)

    task = asyncio.create_task(request())
    await asyncio.to_thread(begun.wait, 10)
    assert admission.bytes_held() == 10
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    over.set()
    async with asyncio.timeout(10):
        while not outcome:  # noqa: ASYNC110  # another thread's list is no event
            await asyncio.sleep(0.01)
    assert (outcome, admission.bytes_held()) == ([ErrorKind.CANCELLED], 0)


def test_what_is_given_back_can_be_taken_again() -> None:
    admission = Admission(requests=1, streams=1, request_bytes=100)
    with admission.admitted(None) as one, admission.admitted(None) as other:
        one.take(60)
        with pytest.raises(GatewayError, match="max_bytes_in_flight"):
            other.take(60)
        one.give_back(30)
        other.take(60)
        assert admission.bytes_held() == 90
    assert admission.bytes_held() == 0
