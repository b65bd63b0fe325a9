"""Measures real gateways in front of stand-ins for replicas, to check the simulation and the formulas."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from grpc import aio

from benchmarks import load
from benchmarks.asking import check
from benchmarks.questions import TFS_RPC
from benchmarks.rounds import tell
from capacity.costs import Spent
from capacity.measured import Full, Tried
from capacity.model import INPUT, MODEL, SIZES, examples
from capacity.servers import gateway, replica
from capacity.system import Cell, Runs
from reliability.load import OK, WRONG, Ask, quantile, steady
from reliability.servers import Server, Starter

RUNS = Runs(fixed=0.080, each=0.002, most=32)
"""Long compared with the delays of a busy machine: 82 ms for one request, 144 ms for 32, so at most 222 a second."""
CELLS = (Cell(1, 1), Cell(2, 1), Cell(3, 1), Cell(2, 1, places=1), Cell(3, 1, places=1), Cell(1, 2))
LOADS = (0.3, 0.7)
"""As shares of what full runs could answer."""
GATEWAYS = (1, 2, 3)
_SETTLING = 1.5
"""Seconds until the state is steady."""
_DEADLINE = 30.0
_AT_A_TIME = 128
_QUESTION = TFS_RPC.to(MODEL, INPUT, (1, SIZES[0]))
_QUICK = Runs(fixed=0.001, each=0, most=128)


async def latencies(start: Starter, *, seconds: float) -> list[Tried]:
    """Measures each cell at each load: requests at random moments, sent whether or not others were answered."""
    found = []
    for cell in CELLS:
        async with _cell(start, cell, RUNS) as gateways:
            for share in LOADS:
                rate = share * cell.replicas * RUNS.most_rate
                tell(f"{cell}, {rate:.0f} requests a second")
                found.append(await _tried(cell, gateways, rate, seconds))
    return found


async def fullest(start: Starter, *, seconds: float) -> list[Full]:
    """Measures how much some gateways can answer, all at the same time, for each number of them."""
    sizes_of = examples(SIZES[0])
    found = []
    for count in GATEWAYS:
        tell(f"{count} gateways, as much as they can answer")
        async with _pairs(start, count) as gateways:
            sizes = [await asyncio.to_thread(check, _QUESTION, server.grpc, sizes_of) for server in gateways]
            before = [Spent.by(server) for server in gateways]
            bursts = (
                asyncio.to_thread(load.burst, _QUESTION, server.grpc, size, concurrency=_AT_A_TIME, seconds=seconds)
                for server, size in zip(gateways, sizes, strict=True)
            )
            measured = await asyncio.gather(*bursts)
            used = sum(Spent.by(server).all - then.all for server, then in zip(gateways, before, strict=True))
        rate, answers = sum(each.rate for each in measured), sum(each.answers for each in measured)
        found.append(Full(count, rate, 1e6 * used / answers, used / answers * rate))
    return found


async def _tried(cell: Cell, gateways: Sequence[Server], rate: float, seconds: float) -> Tried:
    before = await _runs(gateways)
    async with _asking(gateways) as ask, steady(ask, rate=rate, deadline=_DEADLINE) as outcomes:
        await asyncio.sleep(_SETTLING + seconds)
    failed = outcomes.failures().total()
    after = await _runs(gateways)
    begin = min(answer.at for answer in outcomes.answers) + _SETTLING
    counted = [answer.seconds for answer in outcomes.answers if answer.at >= begin and answer.code == OK]
    if not counted:
        raise load.LoadError(f"no answers: {outcomes.failures().most_common(1)}")
    merged = (len(outcomes.answers) - failed) / (after - before)
    return Tried(cell, rate, sum(counted) / len(counted), quantile(counted, 0.99), merged, len(counted), failed)


async def _runs(gateways: Sequence[Server]) -> float:
    return sum([await server.metric("tensorgate_batch_rows_count") for server in gateways])


@asynccontextmanager
async def _asking(gateways: Sequence[Server]) -> AsyncIterator[Ask]:
    channels = [aio.insecure_channel(server.grpc, [("grpc.use_local_subchannel_pool", 1)]) for server in gateways]
    calls: list[Any] = [channel.unary_unary(_QUESTION.path) for channel in channels]
    random = np.random.default_rng()

    async def ask(number: int) -> str:
        row = random.random(_QUESTION.shape, np.float32)
        # Random, as in the simulation: many clients that each use gateways in turn are no more even.
        call = calls[random.integers(len(calls))]
        try:
            answer = await call(_QUESTION.put(row, str(number)), timeout=_DEADLINE)
        except aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        return OK if np.allclose(_QUESTION.read(answer), row.mean(), atol=1e-5) else WRONG

    try:
        yield ask
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


@asynccontextmanager
async def _cell(start: Starter, cell: Cell, runs: Runs) -> AsyncIterator[list[Server]]:
    options = ("--max-batch-size", runs.most, "--max-batches-per-model", cell.places)
    behind = [await replica(start, f"replica-{number}", runs) for number in range(cell.replicas)]
    before = [await gateway(start, f"gateway-{number}", behind, *options) for number in range(cell.gateways)]
    try:
        yield before
    finally:
        await asyncio.gather(*(server.stop() for server in (*before, *behind)))


@asynccontextmanager
async def _pairs(start: Starter, count: int) -> AsyncIterator[list[Server]]:
    behind = [await replica(start, f"replica-{number}", _QUICK) for number in range(count)]
    before = [await gateway(start, f"gateway-{number}", [behind[number]]) for number in range(count)]
    try:
        yield before
    finally:
        await asyncio.gather(*(server.stop() for server in (*before, *behind)))
