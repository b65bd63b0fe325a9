"""Copies for a shadow: run when nothing else is, dropped first, compared, and never in anybody's way."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np
import pytest

from service.core import shadow as shadows
from service.core.call import Call
from service.core.catalog import Catalog
from service.core.deadline import NO_DEADLINE, Deadline
from service.core.model_version import ModelVersion, State
from service.core.request import InferenceRequest
from service.core.rollout import Shadow
from service.core.rollout_guards import Compared
from service.core.shadow import Outcome, Shadows
from service.core.tensors import Signature, Tensor, TensorSpec
from service.errors import ErrorKind, GatewayError
from tests.conftest import until

ROWS = TensorSpec("float32", (None,))
SIGNATURE = Signature("serving_default", "", {"x": ROWS}, {"y": ROWS})


class Other:
    """The other version, here and on another server.

    Attributes:
        idle: Whether nothing else is run.
        failure: What every run raises, while it is set.
        gate: While it is cleared, runs elsewhere hang.
        addresses: Of the servers that were asked.
    """

    def __init__(self) -> None:
        self.idle = True
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.addresses: list[str] = []
        self.catalog = Catalog()
        self.catalog.announce(
            ModelVersion("m", version, State.AVAILABLE, {"serving_default": SIGNATURE}) for version in (7, 8)
        )
        self.shadows = Shadows(self.catalog, run=self._run, elsewhere=self._elsewhere, is_idle=lambda: self.idle)

    async def _run(self, version: ModelVersion, request: InferenceRequest, _: Deadline) -> Mapping[str, Tensor]:
        if self.failure is not None:
            raise self.failure
        return {"y": request.inputs["x"] + np.float32(version.version - 7)}

    async def _elsewhere(
        self, address: str, version: ModelVersion, request: InferenceRequest, deadline: Deadline
    ) -> Mapping[str, Tensor]:
        self.addresses.append(address)
        await self.gate.wait()
        return await self._run(version, request, deadline)

    def answered(self, count: int = 1, *, version: int = 7, size: int = 4, message: int = 0) -> None:
        """Offers requests that were answered by a version."""
        entry = next(entry for entry in self.catalog.versions("m") if entry.version == version)
        call = Call("rest", "predict", "id", NO_DEADLINE, size=message)
        for _ in range(count):
            x = np.ones(size // 4, np.float32)
            self.shadows.offer(InferenceRequest(entry, SIGNATURE, {"x": x}, 1), {"y": x}, call)

    def count(self, outcome: Outcome) -> int:
        """Returns of how many copies that has become."""
        known = self.shadows.tally("m")
        return 0 if known is None else known[1].outcomes[outcome]


@asynccontextmanager
async def working(shadow: Shadow | None) -> AsyncIterator[Other]:
    other = Other()
    other.catalog.set_shadow("m", shadow)
    work = asyncio.create_task(other.shadows.work())
    try:
        yield other
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_answers_are_compared() -> None:
    async with working(Shadow(8, 1.0)) as other:
        other.answered(3)
        await until(lambda: other.count(Outcome.COMPARED) == 3)
        known = other.shadows.tally("m")
        assert known is not None
        assert known[1].difference == pytest.approx(0.5)
        assert other.shadows.compared("m", 8) == Compared(0, 0)  # these answers name no classes
        other.answered(version=8)  # its own answers are not compared with themselves
        assert other.shadows.tally("m") == known


async def test_a_share_is_copied() -> None:
    async with working(Shadow(8, 0.25)) as other:
        for _ in range(400):
            other.answered()
            await asyncio.sleep(0)
        await until(lambda: other.count(Outcome.COMPARED) + other.count(Outcome.DROPPED) > 0)
        await until(lambda: not other.shadows._here.copies)
        assert 50 < other.count(Outcome.COMPARED) + other.count(Outcome.DROPPED) < 150
    async with working(Shadow(8, 0.0)) as other:
        other.answered(100)
        assert not other.shadows._here.copies


async def test_copies_wait_for_a_quiet_moment_and_are_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with working(Shadow(8, 1.0)) as other:
        other.idle = False
        other.answered(100)
        assert other.count(Outcome.DROPPED) == 100 - shadows._MOST_WAITING  # no more are kept
        monkeypatch.setattr(shadows, "_PATIENCE", 0.0)
        await until(lambda: other.count(Outcome.DROPPED) == 100)
        assert other.count(Outcome.COMPARED) == 0
        other.idle = True
        other.answered()
        await until(lambda: other.count(Outcome.COMPARED) == 1)


async def test_copies_take_bounded_memory() -> None:
    async with working(Shadow(8, 1.0)) as other:
        other.idle = False
        other.answered(20, size=1024 * 1024)
        assert 0 < other.count(Outcome.DROPPED) < 20
        dropped = other.count(Outcome.DROPPED)
        other.answered(message=shadows._MOST_BYTES)
        assert other.count(Outcome.DROPPED) == dropped + 1


@pytest.mark.parametrize(
    ("failure", "words"),
    [(GatewayError(ErrorKind.BACKEND_FAILED, "it broke"), "it broke"), (RuntimeError("secret"), "went wrong")],
)
async def test_a_shadow_that_fails_is_counted(failure: Exception, words: str) -> None:
    async with working(Shadow(8, 1.0)) as other:
        other.failure = failure
        other.answered(2)
        await until(lambda: other.count(Outcome.FAILED) == 2)
        known = other.shadows.tally("m")
        assert known is not None
        assert words in known[1].error
        other.failure = None
        other.answered()
        await until(lambda: other.count(Outcome.COMPARED) == 1)


async def test_a_version_that_is_not_there_is_counted() -> None:
    async with working(Shadow(9, 1.0)) as other:
        other.answered()
        await until(lambda: other.count(Outcome.UNAVAILABLE) == 1)


async def test_a_server_that_hangs_keeps_nothing_from_this_one() -> None:
    async with working(Shadow(8, 1.0, "other:8500")) as other:
        other.idle = False  # which is no matter to the other one
        other.gate.clear()
        other.answered(2)
        await until(lambda: other.addresses == ["other:8500"])
        other.catalog.set_shadow("m", Shadow(8, 1.0))
        other.idle = True
        other.answered()
        await until(lambda: other.count(Outcome.COMPARED) == 1)
        other.gate.set()


async def test_another_shadow_is_counted_anew() -> None:
    async with working(Shadow(8, 1.0)) as other:
        other.answered()
        await until(lambda: other.count(Outcome.COMPARED) == 1)
        other.catalog.set_shadow("m", Shadow(8, 0.5))
        assert other.count(Outcome.COMPARED) == 0
        other.catalog.set_shadow("m", None)
        assert other.shadows.tally("m") is None


class Room:
    """The residence of a version that comes into memory where there is room."""

    progress = None

    def __init__(self, *, has_room: bool) -> None:
        self.has_room = has_room
        self.users = 0
        self.is_loaded = False

    def enter(self) -> None:
        self.users += 1

    def leave(self) -> None:
        self.users -= 1

    async def load(self, seconds: float) -> bool:
        raise AssertionError("others would have to leave")

    async def load_beside(self) -> bool:
        if self.has_room:
            self.is_loaded = True
            self.enter()
        return self.has_room


@pytest.mark.parametrize(("has_room", "outcome"), [(True, Outcome.COMPARED), (False, Outcome.UNAVAILABLE)])
async def test_a_shadow_takes_nobodys_place_in_memory(has_room: bool, outcome: Outcome) -> None:
    room = Room(has_room=has_room)
    async with working(Shadow(8, 1.0)) as other:
        other.catalog.put(ModelVersion("m", 8, State.AVAILABLE, {"serving_default": SIGNATURE}, residence=room))
        other.answered()
        await until(lambda: other.count(outcome) == 1)
        await until(lambda: not room.users)
