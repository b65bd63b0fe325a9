"""The line between the supervisor and a worker: either end may ask the other something at any time.

A message is a JSON object behind its length, 4 bytes, big-endian. A question has an ``id`` and what is ``asked``; the
answer has the same ``id``. It travels over a pair of sockets that the worker inherits, which nobody else can reach, and
which end when either process does.
"""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

_LENGTH_BYTES = 4

Answer = Callable[[str, Any], Awaitable[Any]]
"""Takes what is asked, and what belongs to it; returns the answer, which JSON can hold."""


def frame(message: dict[str, Any]) -> bytes:
    """Returns the message as it travels."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return len(data).to_bytes(_LENGTH_BYTES) + data


class Link:
    """One end of the line. It reads while it runs (`run`).

    Args:
        end: Its end of the pair of sockets.
        answer: Answers what the other end asks.
    """

    def __init__(self, end: socket.socket, answer: Answer) -> None:
        self._end = end
        self._answer = answer
        self._ids = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Reads until the other end is gone."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._end)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
                    self._take(json.loads(await reader.readexactly(length)))
        finally:
            self._writer.close()
            self._writer = None
            for future in self._asked.values():
                future.cancel()
            for task in self._answering:
                task.cancel()

    async def ask(self, what: str, body: Any = None) -> Any:
        """Returns the other end's answer.

        Raises:
            ConnectionError: When there is no other end, or it went away without an answer.
        """
        number = next(self._ids)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"id": number, "asked": what, "body": body})
            await asyncio.wait([answer])  # unlike the future itself, this tells its end from our own cancellation
            if answer.cancelled():
                raise ConnectionResetError("the other process ended")
            return answer.result()
        finally:
            del self._asked[number]

    def _take(self, message: dict[str, Any]) -> None:
        if "asked" in message:
            task = asyncio.create_task(self._reply(message))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif (answer := self._asked.get(message["id"])) is not None and not answer.done():
            answer.set_result(message["answer"])

    async def _reply(self, message: dict[str, Any]) -> None:
        answer = await self._answer(message["asked"], message["body"])
        with contextlib.suppress(ConnectionError):
            await self._send({"id": message["id"], "answer": answer})

    async def _send(self, message: dict[str, Any]) -> None:
        if self._writer is None:
            raise ConnectionResetError("the other process ended")
        self._writer.write(frame(message))
        await self._writer.drain()
