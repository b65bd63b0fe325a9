"""How long requests take where those that wait are merged: formulas, which are checked against `simulation.py`.

There is no timer: the requests that arrive while replicas are busy are merged. So the number n of requests in a run
settles where as many arrive during a run as it answers: n = x (a + b n), with x requests a second for each replica and
runs of n that take a + b n. One gateway with one run at a time is the queue that Inoue analyses ("Queueing analysis of
GPU-based inference servers with dynamic batching: A closed-form characterization", Performance Evaluation 147, 2021);
there the mean below is 3/2 of a run: half of the one under way, and the request's own. Places for runs of several
gateways on several replicas are added to that here.
"""

import math
from dataclasses import dataclass

from capacity import queueing
from capacity.system import System

_P99 = 2.326
"""Standard deviations above the mean that 1 in 100 exceeds, in a normal distribution."""


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a request takes, in seconds.

    Attributes:
        mean: Of all requests.
        p99: What 99 of 100 do not exceed.
        in_runs: The part of the mean in which a request waits for a run or is in one (phases ``queue``, ``execute``).
    """

    mean: float
    p99: float
    in_runs: float


def latency(system: System) -> Latency:
    """Returns how long requests take, from their arrival at the gateway until it has written the answer.

    Raises:
        OverloadError: When an event loop, or the replicas with all runs full, cannot answer so many.
    """
    loop, runs = _in_the_loop(system), _in_runs(system)
    # A request is hardly ever among the slowest in both, so that the sum is on the safe side.
    return Latency(loop.mean + runs.mean, loop.p99 + runs.p99, runs.mean)


@dataclass(frozen=True, slots=True)
class _Part:
    """Seconds in one part of a request's way."""

    mean: float
    p99: float


def _in_the_loop(system: System) -> _Part:
    """Returns how long a request is in an event loop, which takes turns between requests.

    The answers of a run come at the same time, and also wait for each other.
    """
    mean, p99 = queueing.shared(system.rate / system.cell.gateways, system.loop)
    together = (system.merged - 1) * system.loop / 2
    return _Part(mean + together / 2, p99 + together)


def _in_runs(system: System) -> _Part:
    """Returns how long requests wait for a run and are in one.

    Either replicas are idle between runs: then each request is run alone, and they wait as for servers that take one at
    a time. Or all places are taken: then a request waits until a run of its gateway ends, and its own run comes after
    all that are under way on the replica. The lesser of the two holds, as merging begins before the first gets long.
    """
    cell, run = system.cell, system.runs.seconds(system.merged)
    full = _full_runs(system)
    under_way = cell.gateways * cell.places  # on each replica, of all gateways
    in_a_row = under_way - cell.places + 1  # runs until one of this gateway ends, if its runs follow each other
    in_turn = cell.gateways / cell.replicas  # the same if they are spread evenly
    mean = (under_way + (in_a_row + in_turn) / 4) * run + full.mean
    p99 = (under_way + in_a_row) * run + max(full.p99, _uneven_runs(system, under_way + in_a_row))
    alone = _alone(system)
    return _Part(min(mean, alone.mean), min(p99, alone.p99)) if alone else _Part(mean, p99)


def _alone(system: System) -> _Part | None:
    """Returns how long requests take if each is run alone; ``None`` where there are too many for that.

    The requests of several gateways are no common queue, as no gateway knows what the others have under way.
    """
    servers = system.cell.replicas if system.cell.gateways == 1 else 1
    rate, seconds = system.rate * servers / system.cell.replicas, system.runs.seconds(1)
    if rate * seconds >= servers:
        return None
    waits, mean = queueing.erlang_c(servers, rate * seconds), queueing.mean_wait(rate, seconds, servers)
    return _Part(seconds + mean, seconds + queueing.wait_quantile(0.99, mean, waits))


def _full_runs(system: System) -> _Part:
    """Returns how much longer requests wait as runs get full: full runs arrive more evenly than single requests."""
    replicas, seconds = system.cell.replicas, system.runs.seconds(system.runs.most)
    rate = system.rate / system.runs.most
    mean = queueing.mean_wait(rate, seconds, replicas, arrivals_cv2=1 / system.runs.most)
    waits = queueing.erlang_c(replicas, rate * seconds)
    return _Part(mean, queueing.wait_quantile(0.99, mean, waits))


def _uneven_runs(system: System, count: int) -> float:
    """Returns how much longer than usual that many runs in a row are, 1 time in 100.

    Arrivals during a run have a Poisson distribution, and a long run makes the next one longer: the variance of the
    requests in a run settles at n / (1 - (b x)^2), and runs in a row are correlated by b x.
    """
    carried = system.rate / system.cell.replicas * system.runs.each
    deviation = math.sqrt(system.merged / (1 - carried**2))
    return _P99 * system.runs.each * deviation * math.sqrt(count * (1 + carried))
