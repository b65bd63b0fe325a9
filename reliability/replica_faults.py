"""One of two replicas fails, in every way in turn, while requests go on."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from reliability.asking import DEADLINE, Client, client
from reliability.findings import Finding
from reliability.load import OK, OVERLOADED, WRONG, Outcomes, busy, quantile, steady
from reliability.options import Work
from reliability.proxy import Fault, Proxy
from reliability.servers import Server, Starter, starter, until

_FULL_SECONDS = 600.0
_LOAD = 0.7
_CAPACITY_SECONDS = 20.0
_CALLERS = 64
_ENOUGH = 0.9999
_WELL_SECONDS = 3.0
_USUAL_TIMES = 2.0
"""The 99th percentile is back to normal once that of each second stays below so many times the usual one."""
GATEWAY_OPTIONS = ("--max-batch-size", 16, "--log-level", "warning")


@dataclass(frozen=True, slots=True)
class _Trial:
    """A fault: how it is made, and how it is mended."""

    name: str
    make: Callable[[], Awaitable[None]]
    mend: Callable[[], Awaitable[None]]


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line for the load and one for each fault."""
    async with starter(work.folder, work.models) as start:
        replicas = [await start.replica(f"replica-{number}") for number in (1, 2)]
        for replica in replicas:
            await replica.started()
        proxy = Proxy(int(replicas[1].grpc.rpartition(":")[2]))
        await proxy.start()
        try:
            seconds = work.seconds(_CAPACITY_SECONDS, least=2)
            rate, normal = await _one_alone(start, replicas[0].grpc, seconds)
            gateway = await start.gateway("gateway", [replicas[0].grpc, proxy.address], *GATEWAY_OPTIONS)
            await until(lambda: _whole(gateway), "both replicas serve")
            async with client(gateway.rest, gateway.grpc) as asking:
                return await _try_all(work, asking, rate, normal, gateway, _trials(replicas[1], proxy))
        finally:
            await proxy.stop()


async def _one_alone(start: Starter, address: str, seconds: float) -> tuple[float, float]:
    """Measures a gateway to one replica, twice for so many seconds.

    Returns:
        The load, in requests a second; and the 99th percentile of the time that requests take at that load.
    """
    gateway = await start.gateway("gateway-to-one", [address], *GATEWAY_OPTIONS)
    try:
        async with client(gateway.rest, gateway.grpc) as asking:
            await busy(asking.ask, callers=_CALLERS, seconds=1)
            answers = await busy(asking.ask, callers=_CALLERS, seconds=seconds)
            rate = _LOAD * sum(answer.code == OK for answer in answers) / seconds
            async with steady(asking.ask, rate=rate, deadline=DEADLINE) as outcomes:
                await asyncio.sleep(seconds)
    finally:
        await gateway.stop()
    return rate, quantile(outcomes.seconds(), 0.99)


def _trials(replica: Server, proxy: Proxy) -> list[_Trial]:
    def of_signal(name: str, number: signal.Signals, mending: signal.Signals | None) -> _Trial:
        async def make() -> None:
            replica.send(number)

        async def mend() -> None:
            if mending is None:
                await replica.stop()
                await replica.start()
            else:
                replica.send(mending)

        return _Trial(name, make, mend)

    def of_network(fault: Fault) -> _Trial:
        async def make() -> None:
            proxy.fault = fault

        async def mend() -> None:
            proxy.fault = Fault.NONE

        return _Trial(fault.value, make, mend)

    return [
        of_signal("killed (SIGKILL), and started again", signal.SIGKILL, None),
        of_signal("paused (SIGSTOP): it hangs", signal.SIGSTOP, signal.SIGCONT),
        *map(of_network, (Fault.CUT, Fault.SLOW, Fault.NOISE, Fault.NONSENSE)),
    ]


async def _try_all(
    work: Work, asking: Client, rate: float, normal: float, gateway: Server, trials: Sequence[_Trial]
) -> list[Finding]:
    # Before the first fault, and then for each: as long broken as well again.
    each = work.seconds(_FULL_SECONDS, least=24) / (1 + 2 * len(trials))
    moments: list[tuple[float, float]] = []
    async with steady(asking.ask, rate=rate, deadline=DEADLINE) as outcomes:
        began = time.monotonic()
        await asyncio.sleep(each)
        usual = time.monotonic()
        for trial in trials:
            made = time.monotonic()
            await trial.make()
            await asyncio.sleep(each)
            await trial.mend()
            moments.append((made, time.monotonic()))
            await until(lambda: _whole(gateway), f"both replicas serve after: {trial.name}")
            await asyncio.sleep(each)
        end = time.monotonic()
    of_both = quantile((answer.seconds for answer in outcomes.between(began, usual)), 0.99)
    found = [_finding_of_all(outcomes, rate, of_both, normal)]
    for trial, (made, mended), last in zip(trials, moments, [*(made for made, _ in moments[1:]), end], strict=True):
        found.append(_finding(trial.name, outcomes, (made, mended, last), normal))
    return found


async def _whole(gateway: Server) -> bool:
    return await gateway.serving_replicas() == 2


def _finding_of_all(outcomes: Outcomes, rate: float, of_both: float, of_one: float) -> Finding:
    failures = outcomes.failures()
    wrong, hung, success = failures[WRONG], outcomes.hanging(), outcomes.success()
    return Finding(
        f"two replicas, at {_LOAD:.0%} of what one of them can do ({rate:.0f} requests a second)",
        f"{_ENOUGH:.2%} right, 0 wrong, 0 beyond their deadline",
        f"{len(outcomes.answers):,} requests, {success:.3%} right, {wrong} wrong, {hung} beyond their deadline;"
        f" usual p99 {1000 * of_both:.0f} ms, of one alone {1000 * of_one:.0f} ms;"
        f" the longest {outcomes.longest():.1f} s",
        success >= _ENOUGH and wrong == 0 and hung == 0,
    )


def _finding(name: str, outcomes: Outcomes, moments: tuple[float, float, float], normal: float) -> Finding:
    made, mended, end = moments
    answers = outcomes.between(made, end)
    broken, after = (back_to_normal(outcomes, start, stop, normal) for start, stop in ((made, mended), (mended, end)))
    longest = max((answer.seconds for answer in answers), default=0.0)
    codes = Counter(answer.code for answer in answers if answer.code != OK)
    failures = f"{codes.total()} failed" + "".join(f" ({count} {code})" for code, count in codes.most_common(2))
    return Finding(
        f"one of them is {name}",
        f"p99 is back to normal within {_WELL_SECONDS:g} s",
        f"{broken:.1f} s after the fault, {after:.1f} s after its end; {failures}, the longest {longest:.1f} s",
        broken <= _WELL_SECONDS,
    )


def back_to_normal(outcomes: Outcomes, start: float, end: float, normal: float) -> float:
    """Returns after how many seconds the 99th percentile was below twice the normal one, second by second, and stayed.

    A second that ends beyond the end does not count, nor does one alone that comes after three good ones: on a machine
    that does other work too, some second always stands out.
    """
    last = 0.0
    good = 0
    for second in range(int(end - start)):
        answers = outcomes.between(start + second, start + second + 1)
        slow = quantile((answer.seconds for answer in answers), 0.99) > _USUAL_TIMES * normal
        if slow or any(answer.code not in (OK, OVERLOADED) for answer in answers):
            if good < 3:
                last = second + 1.0
            good = 0
        else:
            good += 1
    return last
