"""Streams of requests: answered in their order, several at a time, each with its own call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from service.core import call as calls
from service.core.call import Call, Deadline
from service.core.outdated import answered_anew
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
        self,
        requests: AsyncIterator[RequestT],
        answer: Callable[[RequestT, Call], Awaitable[ResponseT]],
        failed: Callable[[RequestT, GatewayError, Call], ResponseT],
    ) -> AsyncIterator[ResponseT]:
        """Yields the response to each request, in the order of the requests.

        Args:
            requests: Of the client.
            answer: Answers one of them.
            failed: Makes the response to one that has none; an error that it raises ends the stream.

        Raises:
            GatewayError: After the answers to all messages that were taken: NOT_READY when the server is going down,
                TIMEOUT when no more come; what was raised where the next request should have come from.
        """
        stream = calls.current()
        works = _Works[ResponseT](self.window, self.idle_timeout)
        works.take(requests, lambda request: self._work(request, answer, failed, stream))
        drained = asyncio.create_task(self.draining.wait())
        drained.add_done_callback(lambda task: None if task.cancelled() else works.end(_going_down()))
        try:
            while (work := await works.next()) is not None:
                yield await work
                works.leave()
        finally:
            drained.cancel()
            works.close()

    async def _work(
        self,
        request: RequestT,
        answer: Callable[[RequestT, Call], Awaitable[ResponseT]],
        failed: Callable[[RequestT, GatewayError, Call], ResponseT],
        stream: Call,
    ) -> ResponseT:
        call = Call(
            protocol=stream.protocol,
            method=f"{stream.method}/message",
            request_id=stream.request_id,
            deadline=Deadline.after(self.timeout),
        )
        calls.enter(call)
        code: str = OK
        try:
            with call.deadline.enforced():
                return await answered_anew(lambda: answer(request, call))
        except asyncio.CancelledError:
            code = ErrorKind.CANCELLED
            raise
        except Exception as raised:
            error = as_gateway_error(raised)
            code = error.kind
            # The frames in its traceback refer to the request, and to the error itself.
            return failed(request, error.with_traceback(None), call)
        finally:
            stream.messages += 1
            stream.model, stream.version = call.model, call.version
            self.report(call, code)


class _Works(Generic[ResponseT]):
    """The messages of one stream that are in the works, in their order, and how the stream ends.

    One task reads the messages, and waits for nothing else. What ends the stream from outside cancels it: to wait for
    several things at a time would cost each message more tasks than its answer does.
    """

    def __init__(self, window: int, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(window)
        self._queue: asyncio.Queue[asyncio.Task[ResponseT] | None] = asyncio.Queue()
        self._count = 0
        self._idle_since = self._loop.time()
        self._timer = self._loop.call_later(idle_timeout, self._look)
        self._reader: asyncio.Task[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    def take(
        self, requests: AsyncIterator[RequestT], work: Callable[[RequestT], Coroutine[Any, Any, ResponseT]]
    ) -> None:
        """Begins to read: starts the work on each request as soon as there is a place for it."""
        self._reader = self._loop.create_task(self._read(requests, work))

    async def _read(
        self, requests: AsyncIterator[RequestT], work: Callable[[RequestT], Coroutine[Any, Any, ResponseT]]
    ) -> None:
        try:
            while True:
                await self._places.acquire()
                request = await anext(requests)
                self._count += 1
                self._queue.put_nowait(self._loop.create_task(work(request)))
        except StopAsyncIteration:
            self.end(None)
        except Exception as error:
            self.end(error)

    async def next(self) -> asyncio.Task[ResponseT] | None:
        """Returns the work on the next message, ``None`` after the last.

        Raises:
            Exception: What ended the stream, after the last.
        """
        work = await self._queue.get()
        if work is None and self._error is not None:
            raise self._error
        return work

    def leave(self) -> None:
        """Gives away the place of a message that is answered."""
        self._count -= 1
        if not self._count:
            self._idle_since = self._loop.time()
        self._places.release()

    def end(self, error: Exception | None) -> None:
        """Takes no more messages; those that were taken come first, and then the error."""
        if not self._ended:
            self._ended, self._error = True, error
            self._queue.put_nowait(None)
            self._stop()

    def close(self) -> None:
        """Lets go of all that is left."""
        self._ended = True
        self._stop()
        while not self._queue.empty():
            if (work := self._queue.get_nowait()) is not None:
                work.cancel()
                work.add_done_callback(_look_at)

    def _stop(self) -> None:
        self._timer.cancel()
        if self._reader is not None:
            self._reader.cancel()

    def _look(self) -> None:
        """Ends the stream if it was idle for long enough, else looks again when it can have been."""
        left = self._idle_since + self._idle_timeout - self._loop.time() if not self._count else self._idle_timeout
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            text = f"no message came for {self._idle_timeout:g} s (stream_idle_timeout)"
            self.end(GatewayError(ErrorKind.TIMEOUT, text))


def _look_at(task: asyncio.Task[Any]) -> None:
    """Takes note of how the task ended: after the stream's own end that is no news."""
    if not task.cancelled():
        task.exception()


def _going_down() -> GatewayError:
    return GatewayError(ErrorKind.NOT_READY, "the server is going down")
