"""Shadows: copies of answered requests that another version answers too, for nobody, to compare both.

A copy is made once the answer is there, and is run when nothing else is: it is dropped where that does not come about
soon, and where others wait already. So a shadow neither fails an answer nor makes a request wait in a queue.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from random import random

from service.core.agreement import Agreement, agreement
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.request import InferenceRequest
from service.core.rollout import Shadow
from service.core.rollout_guards import Compared
from service.core.signature import rows_if_valid
from service.core.tensors import Tensor, byte_size
from service.errors import ErrorKind, GatewayError, as_gateway_error

_MOST_WAITING = 32
_MOST_BYTES = 8 * 1024 * 1024
"""The most that all waiting copies may take, inputs and answers together."""
_PATIENCE = 2.0
"""How long a copy waits for a moment in which nothing else is run."""
_SECONDS = 10.0
"""How long a copy may run."""
_LOOK_SECONDS = 0.005

_NOT_THERE = frozenset({ErrorKind.MODEL_NOT_FOUND, ErrorKind.NOT_READY, ErrorKind.SIGNATURE_NOT_FOUND})

Outputs = Mapping[str, Tensor]
Run = Callable[[ModelVersion, InferenceRequest, Deadline], Awaitable[Outputs]]
"""Runs a request on another version of this server's."""
RunElsewhere = Callable[[str, ModelVersion, InferenceRequest, Deadline], Awaitable[Outputs]]
"""Runs a request on the server at an address."""


class Outcome(StrEnum):
    """What became of a copy."""

    COMPARED = "compared"
    DROPPED = "dropped"
    """There was no time or room for it."""
    FAILED = "failed"
    """The other version gave no answer."""
    UNAVAILABLE = "unavailable"
    """The other version is not there, or does not take the request."""


@dataclass(slots=True)
class Tally:
    """What has become of the copies for one shadow.

    Attributes:
        outcomes: How many copies, by what became of them.
        rows: Rows of answers that name a class.
        changed: How many of those rows name another class.
        difference: The largest difference between two numbers.
        seconds: How long the runs took that answered the clients, altogether.
        shadow_seconds: How long the shadow's runs of the same requests took.
        error: Why the last copy failed.
    """

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    rows: int = 0
    changed: int = 0
    difference: float = 0.0
    seconds: float = 0.0
    shadow_seconds: float = 0.0
    error: str = ""


@dataclass(slots=True)
class _Copy:
    """A request and its answer, kept after the client was answered."""

    shadow: Shadow
    request: InferenceRequest
    outputs: Outputs
    seconds: float
    offered: float
    size: int


class _Waiting:
    """Copies that wait."""

    def __init__(self) -> None:
        self.copies: deque[_Copy] = deque()
        self.size = 0
        self.offered = asyncio.Event()


class Shadows:
    """Takes copies, runs them one by one, and counts how they agree. For the event loop's thread alone.

    Args:
        catalog: Has the models.
        run: Runs a copy here.
        elsewhere: Runs it on another server.
        is_idle: Returns whether nothing is run or waits here.
    """

    def __init__(self, catalog: Catalog, *, run: Run, elsewhere: RunElsewhere, is_idle: Callable[[], bool]) -> None:
        self._catalog = catalog
        self._run = run
        self._elsewhere = elsewhere
        self._is_idle = is_idle
        self._here, self._there = _Waiting(), _Waiting()  # a server that hangs keeps no copies from this one
        self._tallies: dict[str, tuple[Shadow, Tally]] = {}

    def tally(self, model: str) -> tuple[Shadow, Tally] | None:
        """Returns a model's shadow, and what has become of the copies for it, if it has one."""
        shadow = self._catalog.shadow(model)
        if shadow is None:
            self._tallies.pop(model, None)
            return None
        known = self._tallies.get(model)
        if known is None or known[0] != shadow:
            known = self._tallies[model] = (shadow, Tally())
        return known

    def compared(self, model: str, version: int) -> Compared:
        """Returns how many rows of a version were compared as a shadow, and how many name another class."""
        known = self.tally(model)
        if known is None or known[0].version != version:
            return Compared()
        return Compared(known[1].rows, known[1].changed)

    def offer(self, request: InferenceRequest, outputs: Outputs, call: Call) -> None:
        """Takes a copy of an answered request, where its model has a shadow, or leaves it.

        Args:
            request: As it was run.
            outputs: All outputs by name.
            call: The call that it is part of.
        """
        shadow = self._catalog.shadow(request.version.name)
        if shadow is None or (request.version.version == shadow.version and not shadow.address):
            return
        if random() >= shadow.share:  # noqa: S311  # to be quick, not secret
            return
        # Tensors may lie in the message that they came in, and keep all of it.
        size = max(call.size, byte_size(request.inputs.values())) + byte_size(outputs.values())
        copy = _Copy(shadow, request, outputs, call.phases.get("execute", 0.0), time.monotonic(), size)
        waiting = self._there if shadow.address else self._here
        if len(waiting.copies) >= _MOST_WAITING or waiting.size + size > _MOST_BYTES:
            self._ended(copy, Outcome.DROPPED)
            return
        waiting.size += size
        waiting.copies.append(copy)
        waiting.offered.set()

    async def work(self) -> None:
        """Runs copies as they come; never returns."""
        await asyncio.gather(self._work(self._here), self._work(self._there))

    async def _work(self, waiting: "_Waiting") -> None:
        while True:
            await waiting.offered.wait()
            while waiting.copies:
                copy = waiting.copies.popleft()
                try:
                    await self._compare(copy)
                finally:
                    waiting.size -= copy.size
            waiting.offered.clear()

    async def _compare(self, copy: _Copy) -> None:
        while not copy.shadow.address and not self._is_idle():
            if time.monotonic() - copy.offered > _PATIENCE:
                self._ended(copy, Outcome.DROPPED)
                return
            await asyncio.sleep(_LOOK_SECONDS)
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(_SECONDS):
                got = await self._answer(copy)
            seconds = time.perf_counter() - begun
            found = agreement(copy.request.version.task, copy.outputs, got)
        except TimeoutError:
            self._ended(copy, Outcome.FAILED, error=f"there was no answer within {_SECONDS:g} seconds")
        except Exception as raised:
            error = as_gateway_error(raised)
            outcome = Outcome.UNAVAILABLE if error.kind in _NOT_THERE else Outcome.FAILED
            self._ended(copy, outcome, error=error.message)
        else:
            self._ended(copy, Outcome.COMPARED, found, seconds=seconds)

    async def _answer(self, copy: _Copy) -> Outputs:
        if copy.shadow.address:
            return await self._elsewhere(copy.shadow.address, _numbered(copy), copy.request, Deadline.after(_SECONDS))
        model, number = copy.request.version.name, copy.shadow.version
        version = self._catalog.find(ModelRef(model, number))
        if version.state is not State.AVAILABLE:
            raise GatewayError(ErrorKind.NOT_READY, f"version {version.version} is {version.state}")
        if (residence := version.residence) is None:
            return await self._answer_of(version, copy.request)
        # It is loaded for its copies only where nobody has to leave memory for it.
        if not await residence.load_beside():
            raise GatewayError(ErrorKind.NOT_READY, f"version {number} is not in memory, where there is no room for it")
        try:
            return await self._answer_of(self._catalog.find(ModelRef(model, number)), copy.request)
        finally:
            residence.leave()

    async def _answer_of(self, version: ModelVersion, request: InferenceRequest) -> Outputs:
        signature = version.signatures.get(request.signature.name)
        if signature is None or rows_if_valid(signature, request.inputs) is None:
            text = f"version {version.version} takes no such requests for {request.signature.name}"
            raise GatewayError(ErrorKind.SIGNATURE_NOT_FOUND, text)
        copied = InferenceRequest(version, signature, request.inputs, request.rows)
        return await self._run(version, copied, Deadline.after(_SECONDS))

    def _ended(
        self,
        copy: _Copy,
        outcome: Outcome,
        found: Agreement | None = None,
        *,
        seconds: float = 0.0,
        error: str = "",
    ) -> None:
        model, shadow = copy.request.version.name, copy.shadow
        known = self.tally(model)
        if known is None or known[0] != shadow:
            return  # it has left meanwhile
        tally = known[1]
        tally.outcomes[outcome] += 1
        tally.error = error or tally.error
        if found is not None:
            tally.rows += found.rows
            tally.changed += found.changed
            tally.difference = max(tally.difference, found.difference)
            tally.seconds += copy.seconds
            tally.shadow_seconds += seconds


def _numbered(copy: _Copy) -> ModelVersion:
    """Returns what names the version elsewhere: its signatures are taken to be those of the one that answered."""
    answered = copy.request.version
    return ModelVersion(answered.name, copy.shadow.version, State.AVAILABLE, {}, answered.task)
