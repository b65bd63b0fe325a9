"""A few requests beside the load, by a process that does nothing else: what a client sees that has time to look.

The load takes a core for itself, and its event loop reads an answer long after it came. So how soon the server refuses
is not measured there: ``python -m reliability.apart REST GRPC SECONDS`` prints what it has seen as JSON.
"""

import asyncio
import json
import sys
from dataclasses import dataclass

import uvloop

from reliability.asking import DEADLINE, client
from reliability.load import OVERLOADED, steady
from reliability.servers import run

_RATE = 20.0
"""Requests a second: far below what takes a noticeable part of a core."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """What was seen apart from the load.

    Attributes:
        seconds: How long each refusal took, from when its request was due.
        lag: The longest that a request was sent after it was due, in seconds.
    """

    seconds: list[float]
    lag: float


async def refusals(rest: str, grpc: str, seconds: float) -> Refusals:
    """Asks a server for that long, in a process of its own.

    Args:
        rest: ``host:port`` of its REST API.
        grpc: ``host:port`` of its gRPC API.
        seconds: How long.

    Raises:
        RuntimeError: When the process failed.
    """
    done = await run(sys.executable, "-m", "reliability.apart", rest, grpc, str(seconds))
    if done.returncode:
        raise RuntimeError(f"the requests beside the load failed: {done.stderr.strip()[-500:]}")
    return Refusals(**json.loads(done.stdout))


async def _ask(rest: str, grpc: str, seconds: float) -> None:
    # A stream that is refused after it was answered in part would not be one that was refused late.
    async with client(rest, grpc, streamed=1) as asking:
        async with steady(asking.ask, rate=_RATE, deadline=DEADLINE) as outcomes:
            await asyncio.sleep(seconds)
        sys.stdout.write(json.dumps({"seconds": outcomes.seconds(OVERLOADED), "lag": outcomes.lag}))


if __name__ == "__main__":
    uvloop.run(_ask(sys.argv[1], sys.argv[2], float(sys.argv[3])))
