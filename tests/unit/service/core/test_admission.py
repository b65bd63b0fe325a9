import asyncio
import threading
from contextlib import ExitStack

import pytest

from service.core.admission import Admission, ClientBounds
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


def shared(requests: int = 100, request_bytes: int = 1000) -> Admission:
    return Admission(
        requests=requests,
        streams=10,
        request_bytes=request_bytes,
        clients=ClientBounds(share=0.8, whole_request=100),
    )


def test_one_client_leaves_places_to_others() -> None:
    admission = shared()
    with ExitStack() as places:
        for _ in range(80):
            places.enter_context(admission.admitted(client="noisy"))
        with pytest.raises(GatewayError, match="max_client_share") as caught, admission.admitted(client="noisy"):
            pass
        assert caught.value.kind is ErrorKind.OVERLOADED
        for number in range(15):
            places.enter_context(admission.admitted(client=f"client {number}"))
        places.enter_context(admission.admitted("streams", client="noisy"))
        assert admission.in_flight == {"requests": 95, "streams": 1}
    with ExitStack() as places:
        for _ in range(80):
            places.enter_context(admission.admitted(client="noisy"))
    assert admission._of_clients == {"requests": {}, "streams": {}}


def test_those_who_are_not_told_apart_have_all_places() -> None:
    admission = shared()
    with ExitStack() as places:
        for _ in range(100):
            places.enter_context(admission.admitted())
        with pytest.raises(GatewayError, match="max_requests_in_flight"), admission.admitted():
            pass


def test_a_place_that_is_taken_later_is_within_the_share_too() -> None:
    admission = shared(requests=5)
    with ExitStack() as places:
        held = [places.enter_context(admission.admitted(client="noisy", later=True)) for _ in range(5)]
        for each in held[:4]:
            each.admit()
        with pytest.raises(GatewayError, match="max_client_share"):
            held[4].admit()
        with pytest.raises(GatewayError, match="max_client_share"), admission.admitted(client="noisy", later=True):
            pass


def test_one_client_leaves_bytes_to_others() -> None:
    admission = shared()
    with (
        admission.admitted(client="noisy") as one,
        admission.admitted(client="noisy") as two,
        admission.admitted(client="quiet") as other,
    ):
        one.take(500)
        two.take(300)
        with pytest.raises(GatewayError, match="max_client_share") as caught:
            two.take(1)
        assert caught.value.kind is ErrorKind.OVERLOADED
        other.take(90)
        one.give_back(300)
        two.take(1)
    assert (admission.bytes_held(), admission._bytes.clients) == (0, {})


def test_a_part_counts_for_its_client_until_it_is_closed() -> None:
    admission = shared()
    with admission.admitted("streams", client="noisy") as stream:
        stream.take(300)
        part = stream.part(200)
        part.take(500)
        assert (stream.taken, part.taken, admission.bytes_held()) == (100, 700, 800)
        with pytest.raises(GatewayError, match="max_client_share"):
            stream.take(1)
        part.close()
        part.close()
        with pytest.raises(GatewayError, match="over"):
            part.take(1)
        assert (stream.taken, admission.bytes_held(), admission.in_flight["streams"]) == (100, 100, 1)
    assert (admission.bytes_held(), admission._bytes.clients) == (0, {})


def test_a_client_may_always_hold_one_whole_request_where_there_is_room() -> None:
    admission = shared(request_bytes=100)
    with admission.admitted(client="a") as one, admission.admitted(client="a") as two:
        for _ in range(100):
            one.take(1)
        with pytest.raises(GatewayError, match="max_bytes_in_flight"):
            two.take(1)
