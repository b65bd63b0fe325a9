"""Streams of requests: answered in their order, several at a time, each with its own call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from service.core import call as calls
from service.core.call import Call, Deadline
from service.errors import OK, ErrorKind, GatewayError, as_gateway_error

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")


@dataclass(frozen=True, slots=True)
class OrderedStream:
    """Answers streams.

    Attributes:
        window: How many messages of one stream may be in the works; the client waits when there are more.
        timeout: Seconds for each message.
        idle_timeout: Seconds after which a stream ends on which nothing comes and nothing is in the works.
        draining: Ends the streams, after the messages that were taken.
        report: Takes the call of each finished message and its code.
    """

    window: int
    timeout: float
    idle_timeout: float
    draining: asyncio.Event
    report: Callable[[Call, str], None]

    async def answers(
        self, requests: AsyncIterator[RequestT], answer: Callable[[RequestT, Call], Awaitable[ResponseT]]
    ) -> AsyncIterator[ResponseT | GatewayError]:
        """Yields for each request its response or its error, in the order of the requests.

        Args:
            requests: Of the client.
            answer: Answers one of them.

        Raises:
            GatewayError: After the answers to all messages that were taken: NOT_READY when the server is going down,
                TIMEOUT when no more come.
        """
        works: asyncio.Queue[asyncio.Task[ResponseT | GatewayError] | None] = asyncio.Queue()
        places = asyncio.Semaphore(self.window)
        reader = asyncio.create_task(self._read(requests, answer, works, places))
        try:
            while (work := await works.get()) is not None:
                yield await work
                places.release()
            await reader
        finally:
            reader.cancel()
            reader.add_done_callback(_look_at)
            while not works.empty():
                if (left := works.get_nowait()) is not None:
                    left.cancel()

    async def _read(
        self,
        requests: AsyncIterator[RequestT],
        answer: Callable[[RequestT, Call], Awaitable[ResponseT]],
        works: "asyncio.Queue[asyncio.Task[ResponseT | GatewayError] | None]",
        places: asyncio.Semaphore,
    ) -> None:
        """Starts the work on each request as soon as there is a place for it."""
        stream = calls.current()
        drained = asyncio.create_task(self.draining.wait())
        try:
            while True:
                await places.acquire()
                request = await self._next(requests, drained)
                if request is None:
                    return
                works.put_nowait(asyncio.create_task(self._work(request, answer, stream)))
        finally:
            drained.cancel()
            works.put_nowait(None)

    async def _next(self, requests: AsyncIterator[RequestT], drained: asyncio.Task[bool]) -> RequestT | None:
        """Returns the next request, ``None`` after the last."""
        following = asyncio.ensure_future(anext(requests, None))
        try:
            await asyncio.wait((following, drained), timeout=self.idle_timeout, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                return following.result()
        finally:
            following.cancel()
        if drained.done():
            raise GatewayError(ErrorKind.NOT_READY, "the server is going down")
        raise GatewayError(ErrorKind.TIMEOUT, f"no message came for {self.idle_timeout:g} s (stream_idle_timeout)")

    async def _work(
        self, request: RequestT, answer: Callable[[RequestT, Call], Awaitable[ResponseT]], stream: Call
    ) -> ResponseT | GatewayError:
        call = Call(
            protocol=stream.protocol,
            method=f"{stream.method}/message",
            request_id=stream.request_id,
            deadline=Deadline.after(self.timeout),
        )
        calls.enter(call)
        code: str = OK
        try:
            async with call.deadline.enforced():
                return await answer(request, call)
        except asyncio.CancelledError:
            code = ErrorKind.CANCELLED
            raise
        except Exception as raised:
            error = as_gateway_error(raised)
            code = error.kind
            return error.with_traceback(None)  # the frames in it refer to the request, and to the error itself
        finally:
            stream.messages += 1
            stream.model, stream.version = call.model, call.version
            self.report(call, code)


def _look_at(task: asyncio.Task[None]) -> None:
    """Takes note of how the task ended: after the stream's own end that is no news."""
    if not task.cancelled():
        task.exception()
