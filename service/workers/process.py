"""A worker as the supervisor has it: one process, from its start to its end."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from service.workers.link import Link
from service.workers.ports import Ports
from service.workers.worker import Assignment

_LAST_WORDS_SECONDS = 1.0


class WorkerProcess:
    """One process.

    Args:
        number: Which of the workers it is.
        answer: Answers what it asks.

    Attributes:
        number: Which of the workers it is.
        link: The line to it.
        complaint: Why it could not start, once it said so.
    """

    def __init__(self, number: int, answer: Callable[["WorkerProcess", str, Any], Awaitable[Any]]) -> None:
        self.number = number
        self.complaint = ""
        end, self._its_end = socket.socketpair()
        self.link = Link(end, lambda what, body: answer(self, what, body))
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, ports: Ports, *, again: bool) -> int:
        """Runs the command that runs here as a worker.

        Args:
            ports: Where it is to listen.
            again: Whether it takes the place of one that ended.

        Returns:
            Its exit status, or minus the signal that ended it.
        """
        with self._its_end:
            assignment = Assignment(self.number, self._its_end.fileno(), ports, again)
            # A group of its own: what a terminal sends to all of its foreground (Ctrl-C) comes here alone, and is
            # passed on once.
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *sys.orig_argv[1:],
                env=assignment.variables(os.environ),
                pass_fds=[assignment.descriptor],
                process_group=0,
            )
        reading = asyncio.create_task(self.link.run())
        status = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reading, _LAST_WORDS_SECONDS)
        return status

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, if it runs."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
