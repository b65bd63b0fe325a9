"""Clients that do not read their answers: how long a server waits for them."""

import asyncio
from time import monotonic
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOKS = 4
"""How often within the time limit to look for clients that are over it."""


class StallLimit:
    """An ASGI application whose every `send` is limited in time.

    h2corn keeps 2 MiB of a connection's answers, and lets go of those that nobody reads; this is for what waits behind
    them. One look at all that wait costs less than a timer for each `send`.

    Args:
        app: The application.
        seconds: How long a `send` may take.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._sending: dict[asyncio.Task[object], float] = {}
        self._stalled: set[asyncio.Task[object]] = set()
        self._is_looking = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        task = cast("asyncio.Task[object]", asyncio.current_task())
        sending = self._sending

        async def send_in_time(event: Message) -> None:
            sending[task] = monotonic()
            if not self._is_looking:
                self._look_later()
            try:
                await send(event)
            except asyncio.CancelledError:
                if task in self._stalled and task.uncancel() == 0:
                    raise TimeoutError("the client did not read its answer") from None
                raise
            finally:
                del sending[task]
                self._stalled.discard(task)

        await self._app(scope, receive, send_in_time)

    def _look_later(self) -> None:
        self._is_looking = True
        asyncio.get_running_loop().call_later(self._seconds / _LOOKS, self._look)

    def _look(self) -> None:
        self._is_looking = False
        latest = monotonic() - self._seconds
        for task, since in self._sending.items():
            if since < latest and task not in self._stalled:
                self._stalled.add(task)
                task.cancel()
        if self._sending:
            self._look_later()
