"""Queueing formulas, with their sources. Times are in seconds, rates per second; arrivals are a Poisson process."""

import math

STABLE = 1.0
"""From this utilisation on, a queue grows without end."""


class OverloadError(ValueError):
    """More arrives than can be served; the message says how much."""


def erlang_c(servers: int, offered: float) -> float:
    """Returns the probability that an arrival has to wait for one of several servers with one queue (M/M/k).

    Erlang 1917; by the recursion for his formula B, which does not overflow.

    Args:
        servers: How many.
        offered: Arrivals a second times the seconds that each is served: the servers that are busy on average.

    Raises:
        OverloadError: When that is as many as there are, or more.
    """
    _check(offered / servers)
    lost = 1.0
    for number in range(1, servers + 1):
        lost = offered * lost / (number + offered * lost)
    return lost / (1 - offered / servers * (1 - lost))


def mean_wait(
    rate: float, seconds: float, servers: int = 1, *, arrivals_cv2: float = 1, service_cv2: float = 0
) -> float:
    """Returns the mean wait for one of several servers with one queue (G/G/k).

    Allen and Cunneen's approximation: the wait in M/M/k, times the mean of the squared coefficients of variation. For
    one server and Poisson arrivals that is exact (Pollaczek and Khinchine).

    Args:
        rate: Arrivals a second.
        seconds: Mean service time.
        servers: How many.
        arrivals_cv2: Squared coefficient of variation of the time between arrivals; 1 for a Poisson process.
        service_cv2: The same of the service time; 0 where it is constant.

    Raises:
        OverloadError: When more arrives than can be served.
    """
    waits = erlang_c(servers, rate * seconds)
    return waits * seconds / (servers - rate * seconds) * (arrivals_cv2 + service_cv2) / 2


def wait_quantile(share: float, mean: float, waits: float) -> float:
    """Returns the wait that a share of all arrivals does not exceed.

    The wait of those that wait at all is taken as exponential: exact for M/M/k, and the heavy-traffic limit for others
    (Kingman 1962).

    Args:
        share: Of all arrivals, such as 0.99.
        mean: Mean wait of all arrivals.
        waits: The probability of having to wait.
    """
    if waits <= 1 - share:
        return 0.0
    return mean / waits * math.log(waits / (1 - share))


def shared(rate: float, seconds: float) -> tuple[float, float]:
    """Returns the mean and the p99 of the time that arrivals stay with one server that takes turns between them.

    Processor sharing (Kleinrock 1967): the mean does not depend on how much service times differ. The distribution is
    taken as that of M/M/1, exponential.

    Args:
        rate: Arrivals a second.
        seconds: Mean service time.

    Raises:
        OverloadError: When more arrives than can be served.
    """
    utilisation = rate * seconds
    _check(utilisation)
    mean = seconds / (1 - utilisation)
    return mean, mean * math.log(100)


def servers_for(offered: float, waits: float) -> int:
    """Returns the fewest servers with one queue for which at most that share of all arrivals has to wait.

    The result follows square-root staffing (Halfin and Whitt 1981): the servers that are busy, and some more in
    proportion to the square root of their number.
    """
    servers = math.floor(offered) + 1
    while erlang_c(servers, offered) > waits:
        servers += 1
    return servers


def _check(utilisation: float) -> None:
    if utilisation >= STABLE:
        raise OverloadError(f"{utilisation:.0%} of what can be served comes: no queue is long enough for that")
