"""Requests that are handled once more: their version has left the backend, or is not in memory."""

import pytest

from service.core.admission import Admission, HeldBytes
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.residence import StandbyError
from service.errors import ErrorKind, GatewayError, OutdatedVersionError
from service.transport.call import answered_again


class Residence:
    """Of a version that is brought back each time."""

    progress = None

    def __init__(self) -> None:
        self.loads = self.users = 0
        self.is_loaded = False

    def enter(self) -> None:
        self.users += 1

    def leave(self) -> None:
        self.users -= 1

    async def load(self, seconds: float) -> bool:
        self.loads += 1
        self.enter()
        return True

    async def load_beside(self) -> bool:
        return await self.load(0)


class Answer:
    """An answer that comes after these."""

    def __init__(self, *before: Exception) -> None:
        self._before = list(before)

    async def __call__(self) -> str:
        if self._before:
            raise self._before.pop(0)
        return "answer"


def held() -> HeldBytes:
    return Admission(requests=1, streams=1, request_bytes=1000).admitted(None)


def call() -> Call:
    return Call("rest", "predict", "id", Deadline.after(60))


async def test_what_is_not_in_memory_is_waited_for_and_kept_until_the_call_ends() -> None:
    one, other, of = Residence(), Residence(), call()
    answer = Answer(StandbyError(one), OutdatedVersionError("it is gone"), StandbyError(other))
    assert await answered_again(answer, of, held()) == "answer"
    assert (one.loads, one.users, other.loads, other.users) == (1, 0, 1, 1)
    assert of.phases["load"] > 0
    of.close()
    assert other.users == 0


async def test_no_request_is_tried_for_ever() -> None:
    residence, of = Residence(), call()
    with pytest.raises(GatewayError) as refused:
        await answered_again(Answer(*(StandbyError(residence) for _ in range(100))), of, held())
    assert refused.value.kind is ErrorKind.NOT_READY
    outdated = Answer(OutdatedVersionError("the first"), OutdatedVersionError("the second"))
    with pytest.raises(OutdatedVersionError, match="the second"):
        await answered_again(outdated, call(), held())
    of.close()
    assert residence.users == 0


async def test_what_a_try_takes_is_counted_once() -> None:
    admission, residence = Admission(requests=1, streams=1, request_bytes=1000), Residence()
    seen: list[int] = []

    class Taking(Answer):
        async def __call__(self) -> str:
            seen.append(admission.bytes_held())
            taken.take(600)
            return await super().__call__()

    with admission.admitted(None) as taken:
        taken.take(50)
        before = StandbyError(residence), OutdatedVersionError("it is gone"), StandbyError(residence)
        assert await answered_again(Taking(*before), call(), taken) == "answer"
        assert (seen, taken.taken) == ([50] * 4, 650)
