"""A worker's end: what it was told when it was started, and what it tells."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Self

from service.workers.link import Link, frame
from service.workers.ports import Ports

_VARIABLE = "TENSORGATE_WORKER"
_SCRAPE_SECONDS = 3.0
"""Longer than the supervisor waits for any worker."""
_SNAPSHOT_SHARE = 0.01
"""Most of the time that goes into metrics which nobody scrapes: where there are very many, they are told less often."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker is told when it is started.

    Attributes:
        number: Which of the workers it is, from 0.
        descriptor: Of its end of the line to the supervisor.
        ports: Where to listen, together with the others.
        again: Whether it takes the place of one that ended.
    """

    number: int
    descriptor: int
    ports: Ports
    again: bool

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Returns the environment with this in it."""
        return {**environment, _VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> Self | None:
        """Returns what is in the environment, and removes it; ``None`` in a process that is no worker."""
        text = environment.pop(_VARIABLE, None)
        if text is None:
            return None
        fields = json.loads(text)
        return cls(**{**fields, "ports": Ports(**fields["ports"])})


class Worker:
    """This process, as one of several.

    Args:
        assignment: What it was told.

    Attributes:
        number: Which of them it is, from 0.
        ports: Where to listen, together with the others.
        again: Whether it takes the place of one that ended.
    """

    def __init__(self, assignment: Assignment) -> None:
        self.number = assignment.number
        self.again = assignment.again
        self.ports = assignment.ports
        self._end = socket.socket(fileno=assignment.descriptor)
        self._end.set_inheritable(False)
        self._link: Link | None = None

    @classmethod
    def here(cls) -> Self | None:
        """Returns this process as a worker; ``None`` when it is none."""
        assignment = Assignment.taken_from(os.environ)
        return None if assignment is None else cls(assignment)

    async def attend(self, collect: Callable[[bool], Any], orphaned: Callable[[], None]) -> None:
        """Answers the supervisor, with nothing where that is no scrape and would cost too much.

        Args:
            collect: Returns this worker's metrics; takes whether they are for a scrape.
            orphaned: Called when the supervisor is gone.
        """
        not_before = 0.0

        async def answer(what: str, scraped: bool) -> Any:
            nonlocal not_before
            began = time.monotonic()
            if began < not_before and not scraped:
                return None
            told = collect(scraped)
            ended = time.monotonic()
            not_before = ended + (ended - began) / _SNAPSHOT_SHARE
            return told

        self._link = Link(self._end.dup(), answer)
        await self._link.run()
        orphaned()

    async def serving(self, announcement: str) -> None:
        """Tells the supervisor that this worker serves."""
        if self._link is not None:
            with suppress(ConnectionError):
                await self._link.ask("serving", announcement)

    async def scrape(self) -> Any:
        """Returns the metrics of all workers.

        Raises:
            ConnectionError: When the supervisor is gone.
            TimeoutError: When it does not answer.
        """
        if self._link is None:
            raise ConnectionRefusedError("the supervisor is not spoken to yet")
        return await asyncio.wait_for(self._link.ask("scrape"), _SCRAPE_SECONDS)

    def complain(self, message: str) -> None:
        """Tells the supervisor why this worker cannot start; before and after `attend`."""
        with suppress(OSError):
            self._end.sendall(frame({"id": 0, "asked": "complaint", "body": message}))
