"""One replica: what its requests' ends are taken for."""

import asyncio
import time
from typing import Any

import pytest

from service.backends.tfserving.replica import Replica
from service.core.deadline import Deadline
from service.core.replicas import NullObserver
from service.errors import ErrorKind


class Observer(NullObserver):
    """Notes how requests ended."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def attempted(self, replica: str, code: str, seconds: float) -> None:
        self.codes.append(code)


class Silent:
    """A connection to a replica that never answers."""

    connected = True

    def predict(self, request: bytes, seconds: float | None, metadata: Any = None) -> Any:
        return asyncio.get_running_loop().create_future()


@pytest.mark.parametrize(("left", "code"), [(0.0009, ErrorKind.TIMEOUT), (5, ErrorKind.CANCELLED)])
async def test_a_deadline_whose_timer_came_a_little_early_has_passed(left: float, code: ErrorKind) -> None:
    observer, channel = Observer(), Silent()
    replica = Replica("somewhere:1", connect=lambda _: _Channel(), observer=observer)  # type: ignore[arg-type, return-value]
    replica.connection = channel  # type: ignore[assignment]
    deadline = Deadline.after(60)
    asking = asyncio.create_task(replica.predict(b"", deadline))
    await asyncio.sleep(0)
    deadline.at = time.monotonic() + left
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert observer.codes == [code]


class _Channel:
    def unary_unary(self, path: str) -> None:
        return None
