import asyncio

import pytest

from service.core.admission import Admission
from service.core.call import Call
from service.core.deadline import Deadline
from service.errors import ErrorKind, GatewayError


async def test_a_deadline_ends_its_body() -> None:
    with pytest.raises(GatewayError, match=r"within the 0\.01 s") as caught, Deadline.after(0.01).enforced():
        await asyncio.Event().wait()
    assert caught.value.kind is ErrorKind.TIMEOUT


async def test_a_deadline_that_has_passed_does_not_begin() -> None:
    begun = False
    with pytest.raises(GatewayError), Deadline.after(-1).enforced():
        begun = True
    assert not begun


async def test_a_timeout_of_the_body_itself_is_not_taken_for_the_deadline() -> None:
    with pytest.raises(TimeoutError), Deadline.after(60).enforced():
        raise TimeoutError


def test_phases_add_up() -> None:
    call = Call("rest", "m", "id", Deadline.after(1))
    for _ in range(2):
        with call.phase("decode"):
            pass
    with pytest.raises(ValueError, match="x"), call.phase("encode"):
        raise ValueError("x")
    assert set(call.phases) == {"decode", "encode"}
    assert sum(call.phases.values()) <= call.elapsed()


def refusal(admission: Admission, what: str = "requests") -> ErrorKind:
    with pytest.raises(GatewayError) as caught, admission.admitted(what):
        pass
    return caught.value.kind


async def test_as_many_are_admitted_as_the_limits_say() -> None:
    admission = Admission(requests=2, streams=1, request_bytes=1)
    with admission.admitted(), admission.admitted(), admission.admitted("streams"):
        assert admission.in_flight == {"requests": 2, "streams": 1}
        assert refusal(admission) is ErrorKind.OVERLOADED
        assert refusal(admission, "streams") is ErrorKind.OVERLOADED
    with admission.admitted():
        assert admission.in_flight == {"requests": 1, "streams": 0}


async def test_bytes_are_given_back() -> None:
    admission = Admission(requests=1, streams=1, request_bytes=10)
    with admission.admitted(None) as one, admission.admitted(None) as other:
        one.take(6)
        with pytest.raises(GatewayError, match="max_bytes_in_flight"):
            other.take(5)
        one.give_back(3)
        other.take(5)
    with admission.admitted(None) as one:
        one.take(10)


async def test_none_is_admitted_while_draining() -> None:
    admission = Admission(requests=1, streams=1, request_bytes=1)
    with admission.admitted():
        admission.refuse()
        assert refusal(admission) is ErrorKind.NOT_READY
        waiting = asyncio.create_task(admission.idle())
        await asyncio.sleep(0)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 1)
