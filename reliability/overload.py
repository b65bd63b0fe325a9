"""Three times as much is asked as can be answered."""

import asyncio
import time

from reliability.apart import refusals
from reliability.asking import DEADLINE, Client, client
from reliability.findings import Finding
from reliability.load import OK, OVERLOADED, WRONG, Outcomes, busy, quantile, steady
from reliability.options import Work
from reliability.servers import Server, starter, until

_FULL_SECONDS = 120.0
_CAPACITY_SECONDS = 20.0
_CALLERS = 96
_TIMES = 3
_GOODPUT = 0.9
_REFUSED_SECONDS = 0.05
_MOST_LAG = 0.5
"""The load may be so many seconds late, once: a machine whose cores are taken cannot ask three times as much."""
_MEMORY = 1.02
"""In the second half there may be so many times the memory of the first."""
_OPTIONS = ("--max-batch-size", 16, "--log-level", "warning")


async def run(work: Work) -> list[Finding]:
    """Runs it, on a gateway to two replicas; returns a line for each claim."""
    async with starter(work.folder, work.models) as start:
        replicas = [await start.replica(f"replica-{number}") for number in (1, 2)]
        for replica in replicas:
            await replica.started()
        gateway = await start.gateway("gateway", [replica.grpc for replica in replicas], *_OPTIONS)

        async def whole() -> bool:
            return await gateway.serving_replicas() == len(replicas)

        await until(whole, "both replicas serve")
        # A stream that is refused after it was answered in part would not be one that was refused late.
        async with client(gateway.rest, gateway.grpc, streamed=1) as asking:
            await busy(asking.ask, callers=_CALLERS, seconds=1)
            seconds = work.seconds(_CAPACITY_SECONDS, least=3)
            right = sum(answer.code == OK for answer in await busy(asking.ask, callers=_CALLERS, seconds=seconds))
            return await _overload(asking, gateway, right / seconds, work.seconds(_FULL_SECONDS, least=5))


async def _overload(asking: Client, gateway: Server, capacity: float, seconds: float) -> list[Finding]:
    memory: list[float] = []
    async with steady(asking.ask, rate=_TIMES * capacity, deadline=DEADLINE) as outcomes:
        await asyncio.sleep(1)  # until its queue is full
        apart = asyncio.create_task(refusals(gateway.rest, gateway.grpc, seconds))
        began = time.monotonic()
        while (end := time.monotonic()) < began + seconds:
            memory.append(await gateway.memory())
            await asyncio.sleep(0.2)
        seen = await apart
    answers = [answer for answer in outcomes.answers if began <= answer.at + answer.seconds < end]
    goodput = sum(answer.code == OK for answer in answers) / (end - began)
    first, second = (max(half) for half in (memory[: len(memory) // 2], memory[len(memory) // 2 :]))
    refused = seen.seconds
    # Of a load that comes late, in bursts, neither rate nor times mean what they are to.
    on_time = outcomes.lag < _MOST_LAG
    others = outcomes.failures()
    del others[OVERLOADED]
    what = f"{_TIMES} times as many requests as two replicas can answer ({_TIMES * capacity:.0f} a second)"
    return [
        Finding(
            what,
            f"right answers within {1 - _GOODPUT:.0%} of the most that there are ({capacity:.0f} a second)",
            f"{goodput:.0f} a second ({goodput / capacity:.0%}); {_lag(outcomes)}",
            goodput >= _GOODPUT * capacity if on_time else None,
        ),
        Finding(
            "the same: refusals",
            f"99 of 100 in under {1000 * _REFUSED_SECONDS:.0f} ms",
            f"{len(refused):,} seen by a client beside the load: p50 {1000 * quantile(refused, 0.5):.0f} ms,"
            f" p99 {1000 * quantile(refused, 0.99):.0f} ms, the longest {1000 * max(refused, default=0):.0f} ms; its"
            f" requests were at most {1000 * seen.lag:.0f} ms late",
            quantile(refused, 0.99) < _REFUSED_SECONDS if seen.lag < _MOST_LAG and refused else None,
        ),
        Finding(
            "the same: all else",
            "0 wrong, 0 beyond their deadline, no other failures",
            f"{others[WRONG]} wrong, {outcomes.hanging()} beyond their deadline, {others.total()} other failures"
            + "".join(f"; {count} {code}" for code, count in others.most_common(2)),
            others.total() == 0 and outcomes.hanging() == 0,
        ),
        Finding(
            "the same: memory of the gateway",
            f"at most {_MEMORY - 1:.0%} more in the second half than in the first",
            f"{first:.0f} MB at most in the first half, {second:.0f} MB in the second",
            second <= _MEMORY * first,
        ),
    ]


def _lag(outcomes: Outcomes) -> str:
    return f"the load itself was at most {1000 * outcomes.lag:.0f} ms late"
