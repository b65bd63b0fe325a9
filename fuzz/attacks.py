"""``python -m fuzz.attacks``: how long other clients wait while the server is attacked over HTTP; prints a table.

The other clients are four of REST and four of gRPC on connections of their own, each with one request at a time. The
attackers are another process, so that they keep nobody waiting but the server.
"""

import argparse
import asyncio
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, NamedTuple

from fuzz.http1 import Http1
from fuzz.requests import REST, Request
from fuzz.wire import memory
from tests.http1_attacks import LAST, REFUSED, SLOW
from tests.http2 import connected
from tests.http2_floods import CLASSIFY, FLOODS, GOOD, Flood
from tests.processes import ServerProcess, server_process

_ASK = Request(
    REST, "POST", "/v1/models/double:predict", ((b"content-type", b"application/json"),), b'{"instances":[1,2]}'
)
_OTHERS = 4
"""Of each transport."""
_ATTACKERS = 8
"""Connections of a flood at a time."""
_SLOW = 200
"""Connections that never end."""
_SERVERS = ("h2corn", "grpcio")

_START_SECONDS = 60
_CONNECT_SECONDS = 0.5
_PAUSE_SECONDS = 0.02
"""Of an attacker between two connections: how many are opened at a time is another matter."""
_PROCESSES = multiprocessing.get_context("fork")


class Ports(NamedTuple):
    """Where a server listens."""

    rest: int
    grpc: int


Attack = Callable[[Ports], Awaitable[None]]


@dataclass(slots=True)
class _Waits:
    """Seconds that other clients waited for each answer, and how many had none or another one than they asked for."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, percent: int) -> float:
        """Returns milliseconds."""
        return 1000 * quantiles(self.seconds, n=100)[percent - 1] if len(self.seconds) > 1 else 0.0


def main(arguments: list[str]) -> int:
    """Measures each attack on each gRPC server."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.attacks", description="Measures others during attacks.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each attack [%(default)s]")
    parser.add_argument("--only", default="", help="attacks with this word in their name")
    chosen = parser.parse_args(arguments)
    sys.stdout.write("| server | attack | others answered | wrong or none | p50, ms | p99, ms | MB more |\n")
    sys.stdout.write("|---|---|--:|--:|--:|--:|--:|\n")
    for name in _SERVERS:
        options = (
            "--backend",
            "tests.fakes:FakeBackend",
            "--access-log",
            "none",
        )  # of it, whoever reads it is the limit
        with server_process(*options, "--grpc-server", name) as server:
            server.announcement()
            for attack in _attacks(name):
                if chosen.only in attack:
                    sys.stdout.write(_line(name, attack, *_measured(server, (name, attack), chosen.seconds)))
                    sys.stdout.flush()
    return 0


def _line(server: str, attack: str, waits: _Waits, megabytes: int) -> str:
    p50, p99 = waits.percentile(50), waits.percentile(99)
    answered = f"{len(waits.seconds):,} | {waits.failed}"
    return f"| {server} | {attack} | {answered} | {p50:.1f} | {p99:.1f} | {megabytes} |\n"


def _attacks(server: str) -> Mapping[str, Attack]:
    """Returns the attacks on the gRPC port and, with the first server alone, those on the REST port."""
    attacks: dict[str, Attack] = {"none": _nothing}
    attacks |= {f"HTTP/2: {kind}": _flooding(flood) for kind, flood in FLOODS.items()}
    if server == _SERVERS[0]:
        attacks |= {"HTTP/1.1: requests that may be read in two ways": _smuggling}
        attacks |= {f"HTTP/1.1, never ending: {kind}": _never_ending(*SLOW[kind]) for kind in SLOW}
    return attacks


def _measured(server: ServerProcess, attack: tuple[str, str], seconds: float) -> tuple[_Waits, int]:
    """Returns how others waited while an attack went on, and by how many MB the server has grown meanwhile."""
    ports = Ports(int(server.rest.rpartition(":")[2]), int(server.grpc.rpartition(":")[2]))
    before = memory(server)
    attacking = _PROCESSES.Event()
    attacker = _PROCESSES.Process(target=_attack, args=(attack, ports, attacking), daemon=True)
    try:
        waits = asyncio.run(_others(ports, seconds, attacker.start, attacking))
        return waits, memory(server) - before
    finally:
        attacker.kill()
        attacker.join()


async def _others(ports: Ports, seconds: float, start: Callable[[], None], attacking: Any) -> _Waits:
    """Asks on connections that were there before the attack: how long it takes to get one is another matter."""
    waits, begin = _Waits(), asyncio.Event()
    others = [_over_rest(ports.rest, waits, begin, seconds) for _ in range(_OTHERS)]
    others += [_over_grpc(ports.grpc, waits, begin, seconds) for _ in range(_OTHERS)]
    asking = [asyncio.create_task(other) for other in others]
    await asyncio.sleep(_CONNECT_SECONDS)
    start()
    await asyncio.to_thread(attacking.wait, _START_SECONDS)
    begin.set()
    await asyncio.gather(*asking)
    return waits


def _attack(attack: tuple[str, str], ports: Ports, attacking: Any) -> None:
    """Attacks until the process is ended."""
    server, name = attack
    asyncio.run(_attacked(_attacks(server)[name], ports, attacking))


async def _attacked(attack: Attack, ports: Ports, attacking: Any) -> None:
    async def again() -> None:
        while True:
            with suppress(OSError, TimeoutError):
                await attack(ports)
            await asyncio.sleep(_PAUSE_SECONDS)

    attackers = [asyncio.create_task(again()) for _ in range(_ATTACKERS)]
    await asyncio.sleep(0.2)
    attacking.set()
    await asyncio.gather(*attackers)


async def _keep_asking(waits: _Waits, ask: Callable[[], Awaitable[bool]], begin: asyncio.Event, seconds: float) -> None:
    await _timed(_Waits(), ask)
    await begin.wait()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await _timed(waits, ask)


async def _timed(waits: _Waits, ask: Callable[[], Awaitable[bool]]) -> None:
    begun = time.perf_counter()
    try:
        right = await ask()
    except (OSError, TimeoutError):
        right = False
    waits.seconds.append(time.perf_counter() - begun)
    waits.failed += not right


async def _over_rest(port: int, waits: _Waits, begin: asyncio.Event, seconds: float) -> None:
    client = Http1(port)

    async def ask() -> bool:
        return (await client.ask(_ASK)).body == b'{"predictions":[2.0,4.0]}'

    await _keep_asking(waits, ask, begin, seconds)
    client.close()


async def _over_grpc(port: int, waits: _Waits, begin: asyncio.Event, seconds: float) -> None:
    async with connected(port) as client:

        async def ask() -> bool:
            return (await client.call(CLASSIFY, GOOD)).status == 0

        await _keep_asking(waits, ask, begin, seconds)


async def _nothing(ports: Ports) -> None:
    await asyncio.sleep(1)


def _flooding(flood: Callable[[], Flood]) -> Attack:
    async def attack(ports: Ports) -> None:
        await _poured(ports.grpc, flood())

    return attack


async def _smuggling(ports: Ports) -> None:
    for port in ports:
        for data in REFUSED.values():
            await _poured(port, iter((data + LAST,)))


async def _poured(port: int, pieces: Iterator[bytes]) -> None:
    """Sends it all, and what comes back is left to the system."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 1)
            await asyncio.sleep(0)
    finally:
        writer.transport.abort()


def _never_ending(first: bytes, again: bytes) -> Attack:
    async def attack(ports: Ports) -> None:
        writers: list[Any] = []
        try:
            for number in range(_SLOW // _ATTACKERS):
                _, writer = await asyncio.open_connection("127.0.0.1", ports[number % 2])
                writers.append(writer)
                writer.write(first)
            while not all(writer.is_closing() for writer in writers):
                for writer in writers:
                    writer.write(again)
                await asyncio.sleep(0.1)
        finally:
            for writer in writers:
                writer.transport.abort()

    return attack


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
