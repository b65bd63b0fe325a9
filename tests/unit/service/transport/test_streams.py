import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from service.core.admission import Admission, HeldBytes
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.rights import Access
from service.errors import OK, ErrorKind, GatewayError
from service.seam.method import Method, StreamMethod
from service.transport.streams import OrderedStreams
from service.transport.weighing import Weighing
from tests.conftest import until

Answered = tuple[int, str]


class Streamed:
    """One stream of numbers: 1 fails, 2 never ends, the others are answered.

    Attributes:
        holds: Bytes that each number makes the server hold.
        calls: Those that were begun, by number.
        admission: Counts the bytes.
    """

    def __init__(self, *numbers: int, idle_timeout: float = 60, window: int = 8) -> None:
        self.numbers = numbers
        self.reported: list[str] = []
        self.begun: list[int] = []
        self.draining = asyncio.Event()
        self.source_error: Exception | None = None
        self.stays_open = False
        self.holds: dict[int, int] = {}
        self.calls: dict[int, Call] = {}
        self.admission = Admission(requests=1, streams=1, request_bytes=10_000)
        self._streams = OrderedStreams(
            window, 60, idle_timeout, self.draining, lambda _, code: self.reported.append(code), Weighing(1000)
        )

    async def answers(
        self, failed: Callable[[int, GatewayError, Call], Answered] | None = None
    ) -> AsyncIterator[Answered]:
        message: Method[bytes, int, Answered, bytes] = Method(
            "Stream",
            int,
            self._answer,
            lambda answer: b"%d %b" % (answer[0], answer[1].encode()),
            access=Access.INFER,
        )
        method = StreamMethod(message, failed or (lambda number, error, _: (number, error.kind)))
        call = Call("grpc", "Stream", "id", Deadline.after(60))
        with self.admission.admitted() as held:
            batches = self._streams.answers(self._messages(held), method, call, held)
            async with aclosing(batches):
                async for ready in batches:
                    for answer in ready:
                        number, _, text = answer.partition(b" ")
                        yield int(number), text.decode()
            assert held.taken == 0

    async def _messages(self, held: HeldBytes) -> AsyncIterator[bytes]:
        for number in self.numbers:
            held.take(1)
            yield b"%d" % number
        if self.source_error is not None:
            raise self.source_error
        if self.stays_open:
            await asyncio.Event().wait()

    async def _answer(self, number: int, call: Call) -> Answered:
        self.begun.append(number)
        self.calls[number] = call
        call.hold(self.holds.get(number, 0))
        await asyncio.sleep(0)
        if number == 1:
            raise GatewayError(ErrorKind.INVALID_INPUT, "1 is no number")
        if number == 2:
            await asyncio.Event().wait()
        return number, call.method * (500 if number == 6 else 1)


async def collected(answers: AsyncIterator[Answered]) -> tuple[list[Answered], Any]:
    """Returns what came, and the kind of the error that ended it."""
    got = []
    try:
        async for answer in answers:
            got.append(answer)  # noqa: PERF401  # an error leaves what came before it
    except GatewayError as error:
        return got, error.kind
    return got, None


async def test_each_has_its_answer_or_what_is_made_of_its_error_in_order() -> None:
    stream = Streamed(5, 1, 7)
    assert await collected(stream.answers()) == (
        [(5, "Stream/message"), (1, "invalid_input"), (7, "Stream/message")],
        None,
    )
    assert sorted(stream.reported) == sorted([OK, ErrorKind.INVALID_INPUT, OK])


async def test_an_error_where_requests_come_from_ends_it_after_the_answers() -> None:
    stream = Streamed(5, 7)
    stream.source_error = GatewayError(ErrorKind.MALFORMED, "rubbish")
    got, ended_by = await collected(stream.answers())
    assert ([number for number, _ in got], ended_by) == ([5, 7], ErrorKind.MALFORMED)


async def test_what_is_raised_in_place_of_an_answer_ends_it_and_all_that_is_left() -> None:
    def refuse(number: int, error: GatewayError, call: Call) -> Answered:
        raise error

    stream = Streamed(5, 1, 2, 1)
    got, ended_by = await collected(stream.answers(refuse))
    assert (len(got), ended_by) == (1, ErrorKind.INVALID_INPUT)
    await until(lambda: len(stream.reported) == 4)
    assert stream.reported.count(ErrorKind.CANCELLED) == 1


async def test_what_a_message_makes_the_server_hold_counts_until_its_answer_is_sent() -> None:
    stream = Streamed(5, 7, 2)
    stream.holds = {5: 400, 7: 30}
    answers: Any = stream.answers()
    assert (await anext(answers))[0] == 5
    await until(lambda: stream.begun == [5, 7, 2])
    assert stream.admission.bytes_held() == 3 + 430
    assert (await anext(answers))[0] == 7
    assert stream.admission.bytes_held() in {2 + 30, 3 + 430}  # they may have been ready together
    await answers.aclose()
    assert stream.admission.bytes_held() == 0


async def test_a_message_that_failed_holds_nothing_and_takes_nothing_more() -> None:
    stream = Streamed(2, 1)
    stream.holds = {1: 400}
    answers: Any = stream.answers()
    waiting = asyncio.ensure_future(anext(answers))
    await until(lambda: stream.reported == [ErrorKind.INVALID_INPUT])
    assert stream.admission.bytes_held() == 1
    with pytest.raises(GatewayError, match="over"):
        stream.calls[1].hold(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert stream.admission.bytes_held() == 0


async def test_a_message_that_makes_the_server_hold_too_much_is_refused_alone() -> None:
    stream = Streamed(5, 7)
    stream.holds = {5: 9_999}
    assert await collected(stream.answers()) == ([(5, "overloaded"), (7, "Stream/message")], None)


async def test_long_answers_count_while_they_wait_to_be_sent() -> None:
    stream = Streamed(2, 6)
    answers: Any = stream.answers()
    waiting = asyncio.ensure_future(anext(answers))
    await until(lambda: stream.reported == [OK])
    assert stream.admission.bytes_held() > 5_000
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_it_ends_when_it_is_idle_but_not_before() -> None:
    stream = Streamed(5, 7, idle_timeout=0.05)
    stream.stays_open = True
    got, ended_by = await collected(stream.answers())
    assert (len(got), ended_by) == (2, ErrorKind.TIMEOUT)


async def test_it_ends_after_what_was_taken_when_the_server_goes_down() -> None:
    stream = Streamed(5, 7, 9, window=1)
    stream.stays_open = True
    answers = stream.answers()
    assert (await anext(answers))[0] == 5
    stream.draining.set()
    got, ended_by = await collected(answers)
    assert (stream.begun, ended_by) == ([5, *(number for number, _ in got)], ErrorKind.NOT_READY)


@pytest.mark.parametrize("taken", [1, 2])
async def test_closing_it_stops_what_is_in_the_works(taken: int) -> None:
    stream = Streamed(5, 7, 2, 2)
    answers: Any = stream.answers()
    for _ in range(taken):
        await anext(answers)
    await until(lambda: stream.begun == [5, 7, 2, 2])
    await answers.aclose()
    await until(lambda: stream.reported.count(ErrorKind.CANCELLED) == 2)
