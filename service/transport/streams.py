"""Streams of requests: answered in their order, several at a time, each message with its own call."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from service.core import call as calls
from service.core.admission import HeldBytes
from service.core.call import Call
from service.core.deadline import Deadline
from service.core.offload import INLINE_BYTES
from service.core.tracing import Tracer
from service.errors import OK, ErrorKind, GatewayError, as_gateway_error
from service.seam.method import StreamMethod
from service.transport.call import Report, answered_again
from service.transport.weighing import Weighing

_UNCOUNTED = 4 * 1024
"""Bytes of an answer up to which it is not counted while it waits to be sent; beyond `INLINE_BYTES` the engine does."""


@dataclass(frozen=True, slots=True)
class OrderedStreams:
    """Answers streams.

    Attributes:
        window: How many messages of one stream may be under way; the client waits when there are more.
        timeout: Seconds for each message.
        idle_timeout: Seconds after which a stream ends if nothing comes and nothing is under way.
        draining: Ends the streams, after the messages that were taken.
        report: Takes the call of each finished message and its code.
        weighing: Counts what messages hold beyond their bytes.
        tracer: Begins their traces, where their stream has one.
    """

    window: int
    timeout: float
    idle_timeout: float
    draining: asyncio.Event
    report: Report
    weighing: Weighing
    tracer: Tracer | None = None

    async def answers(
        self, messages: AsyncIterator[bytes], method: StreamMethod[Any, Any], stream: Call, held: HeldBytes
    ) -> AsyncGenerator[list[bytes], None]:
        """Yields the responses in the order of the requests: each time all that are ready.

        Args:
            messages: The client's; their bytes have been counted.
            method: Answers each of them.
            stream: The call of the stream.
            held: Has the bytes of the messages; those of each are given back when its answer is sent.

        Raises:
            GatewayError: After the answers to all messages that were taken: NOT_READY when the server is going down,
                TIMEOUT when no more come; what was raised where the next message should have come from.
        """
        parts: deque[HeldBytes] = deque()
        works = _Works(self.window, self.idle_timeout)

        async def parsed() -> AsyncIterator[tuple[Any, int, HeldBytes]]:
            async for message in messages:
                part = held.part(len(message))
                parts.append(part)
                await self.weighing.hold(message, method.message, part)
                request = method.message.parse(message)
                stream.size += len(message)
                yield request, len(message), part

        works.take(parsed(), lambda given: self._work(given[0], given[1], given[2], method, stream))
        drained = asyncio.create_task(self.draining.wait())
        drained.add_done_callback(lambda task: None if task.cancelled() else works.end(_going_down()))
        try:
            while ready := await works.next():
                yield ready
                for _ in ready:
                    parts.popleft().close()
                works.leave(len(ready))
        finally:
            drained.cancel()
            works.close()
            for part in parts:
                part.close()

    async def _work(
        self, request: Any, size: int, held: HeldBytes, method: StreamMethod[Any, Any], stream: Call
    ) -> bytes:
        call = Call(
            protocol=stream.protocol,
            method=f"{stream.method}/message",
            request_id=stream.request_id,
            deadline=Deadline.after(self.timeout),
            access=stream.access,
            metadata=stream.metadata,
            size=size,
            identity=stream.identity,
            client=stream.client,
            peer=stream.peer,
            hold=held.take,
        )
        if self.tracer is not None and stream.trace is not None:
            self.tracer.begin_message(call, stream.trace)
        calls.enter(call)
        code: str = OK
        try:
            with call.deadline.enforced():
                response = await answered_again(lambda: method.message.handle(request, call), call, held)
                with call.phase("encode"):
                    answer = method.message.serialize(response)
                call.answered = len(answer)
                if _UNCOUNTED < len(answer) <= INLINE_BYTES:  # it may wait for the client to read those before it
                    held.take(len(answer))
                return answer
        except asyncio.CancelledError:
            code = ErrorKind.CANCELLED
            raise
        except Exception as raised:
            error = as_gateway_error(raised)
            code, call.detail = error.kind, error.message
            held.close()
            # The frames in its traceback refer to the request, and to the error itself.
            return method.message.serialize(method.failed(request, error.with_traceback(None), call))
        finally:
            call.close()
            stream.messages += 1
            stream.model, stream.version = call.model, call.version
            self.report(call, code)


class _Works:
    """The messages of one stream that are under way, in their order, and how the stream ends.

    One task reads the messages, and waits for nothing else. What ends the stream from outside cancels it: to wait for
    several things at a time would cost each message more tasks than its answer does.
    """

    def __init__(self, window: int, idle_timeout: float) -> None:
        self._idle_timeout = idle_timeout
        self._loop = asyncio.get_running_loop()
        self._places = asyncio.Semaphore(window)
        self._tasks: deque[asyncio.Task[bytes]] = deque()
        self._changed = asyncio.Event()
        self._count = 0
        self._idle_since = self._loop.time()
        self._timer = self._loop.call_later(idle_timeout, self._look)
        self._reader: asyncio.Task[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    def take(self, requests: AsyncIterator[Any], work: Callable[[Any], Coroutine[Any, Any, bytes]]) -> None:
        """Begins to read: starts the work on each request as soon as there is a place for it."""
        self._reader = self._loop.create_task(self._read(requests, work))

    async def _read(self, requests: AsyncIterator[Any], work: Callable[[Any], Coroutine[Any, Any, bytes]]) -> None:
        try:
            while True:
                await self._places.acquire()
                request = await anext(requests)
                self._count += 1
                self._tasks.append(self._loop.create_task(work(request)))
                self._changed.set()
        except StopAsyncIteration:
            self.end(None)
        except Exception as error:
            self.end(error)

    async def next(self) -> list[bytes]:
        """Returns the next responses, all that are ready; none after the last.

        Raises:
            Exception: What ended the stream, after the last.
        """
        while not self._tasks:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return []
            self._changed.clear()
            await self._changed.wait()
        ready = [await self._tasks[0]]
        self._tasks.popleft()
        while self._tasks and _is_answered(self._tasks[0]):
            ready.append(self._tasks.popleft().result())
        return ready

    def leave(self, count: int) -> None:
        """Gives away the places of messages that are answered."""
        self._count -= count
        if not self._count:
            self._idle_since = self._loop.time()
        for _ in range(count):
            self._places.release()

    def end(self, error: Exception | None) -> None:
        """Takes no more messages; those that were taken come first, and then the error."""
        if not self._ended:
            self._ended, self._error = True, error
            self._changed.set()
            self._stop()

    def close(self) -> None:
        """Lets go of all that is left."""
        self._ended = True
        self._stop()
        for task in self._tasks:
            task.cancel()
            task.add_done_callback(_look_at)
        self._tasks.clear()

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


def _is_answered(task: asyncio.Task[bytes]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _look_at(task: asyncio.Task[Any]) -> None:
    """Retrieves the task's exception, so that asyncio does not log it: the stream has ended already."""
    if not task.cancelled():
        task.exception()


def _going_down() -> GatewayError:
    return GatewayError(ErrorKind.NOT_READY, "the server is going down")
