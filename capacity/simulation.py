"""A discrete-event simulation of gateways in front of replicas, with the rules of `service/core/batching.py`.

Requests arrive at random moments, at a random gateway. A gateway's event loop does one thing at a time: it reads a
request, and later writes its answer. A request that finds a free place for a run is run at once and alone; otherwise it
waits, and when one of the gateway's runs ends, the next one takes as many waiting requests as fit. A run goes to the
replica on which this gateway has the fewest under way; of several, to the one that it used longest ago. A replica does
one run at a time, in the order of arrival.
"""

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import simpy

from capacity.system import System

Steps = Generator[simpy.Event, Any, None]


@dataclass(slots=True)
class Seen:
    """What was observed.

    Attributes:
        latencies: Of each request that counts, in seconds.
        merged: Requests in each run.
        loop: The share of the time in which event loops were busy.
        device: The share of the time in which replicas were busy.
    """

    latencies: list[float] = field(default_factory=list)
    merged: list[int] = field(default_factory=list)
    loop: float = 0.0
    device: float = 0.0

    @property
    def mean(self) -> float:
        """The mean latency in seconds."""
        return sum(self.latencies) / len(self.latencies)

    @property
    def mean_merged(self) -> float:
        """The mean number of requests in a run."""
        return sum(self.merged) / len(self.merged)

    def quantile(self, share: float) -> float:
        """Returns the latency in seconds that this share of requests does not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class _Gateway:
    """One gateway: an event loop, and a batcher that does not know what other gateways do."""

    def __init__(self, env: simpy.Environment, system: System, devices: list[simpy.Resource], seen: Seen) -> None:
        self._env = env
        self._system = system
        self._devices = devices
        self._seen = seen
        self._loop = simpy.Resource(env)
        self._waiting: deque[simpy.Event] = deque()
        self._under_way = [0] * len(devices)
        self._last_used = [0] * len(devices)
        self._sent = 0

    def request(self, arrived: float, counts: bool) -> Steps:
        """The way of one request."""
        half = self._system.loop / 2
        yield from self._busy(half)
        answer = self._env.event()
        self._waiting.append(answer)
        self._fill()
        yield answer
        yield from self._busy(half)
        if counts:
            self._seen.latencies.append(self._env.now - arrived)

    def _fill(self) -> None:
        """Begins runs while there are free places: called as a request arrives, and as a run ends."""
        while self._waiting and sum(self._under_way) < self._system.cell.places * len(self._devices):
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._system.runs.most))]
            replica = min(
                range(len(self._devices)), key=lambda number: (self._under_way[number], self._last_used[number])
            )
            self._under_way[replica] += 1
            self._sent += 1
            self._last_used[replica] = self._sent
            self._env.process(self._run(batch, replica))

    def _run(self, batch: list[simpy.Event], replica: int) -> Steps:
        with self._devices[replica].request() as turn:
            yield turn
            seconds = self._system.runs.seconds(len(batch))
            yield self._env.timeout(seconds)
        self._seen.device += seconds
        self._seen.merged.append(len(batch))
        self._under_way[replica] -= 1
        self._fill()
        for answer in batch:
            answer.succeed()

    def _busy(self, seconds: float) -> Steps:
        if not seconds:
            return
        with self._loop.request() as turn:
            yield turn
            yield self._env.timeout(seconds)
        self._seen.loop += seconds


def simulate(system: System, *, requests: int, seed: int = 0) -> Seen:
    """Simulates until that many requests were answered; the first tenth of them does not count.

    Args:
        system: What is simulated.
        requests: How many arrive.
        seed: The same seed gives the same result.
    """
    env, random, seen = simpy.Environment(), Random(seed), Seen()
    devices = [simpy.Resource(env) for _ in range(system.cell.replicas)]
    gateways = [_Gateway(env, system, devices, seen) for _ in range(system.cell.gateways)]

    def arrivals() -> Steps:
        for number in range(requests):
            yield env.timeout(random.expovariate(system.rate))
            env.process(random.choice(gateways).request(env.now, number >= requests // 10))

    env.process(arrivals())
    env.run()
    seen.loop /= env.now * system.cell.gateways
    seen.device /= env.now * system.cell.replicas
    return seen
