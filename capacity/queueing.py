"""Waiting lines: formulas, with where they are from. Times are in seconds, rates a second; arrivals are Poisson's."""

import math

STABLE = 1.0
"""At this utilisation and beyond, more comes than can be served, and a queue grows until it is full."""


class OverloadError(ValueError):
    """More comes than can be served; the message says how much of it."""


def erlang_c(servers: int, offered: float) -> float:
    """Returns the probability that who comes has to wait for one of several servers with one queue (M/M/k).

    Erlang 1917; by the recursion of his formula B, which does not overflow.

    Args:
        servers: How many.
        offered: Arrivals a second times the seconds that each takes: the servers that are busy on average.

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
    """Returns how long who comes waits on average for one of several servers with one queue (G/G/k).

    Allen and Cunneen's approximation: the wait in M/M/k, times the mean of the squared coefficients of variation. For
    one server and Poisson arrivals that is exact (Pollaczek and Khinchine).

    Args:
        rate: Arrivals a second.
        seconds: That each takes a server, on average.
        servers: How many.
        arrivals_cv2: Squared coefficient of variation of the time between arrivals; 1 for Poisson's.
        service_cv2: Of what each takes; 0 where all take the same.

    Raises:
        OverloadError: When more comes than can be served.
    """
    waits = erlang_c(servers, rate * seconds)
    return waits * seconds / (servers - rate * seconds) * (arrivals_cv2 + service_cv2) / 2


def wait_quantile(share: float, mean: float, waits: float) -> float:
    """Returns the wait that so many do not exceed.

    Of those who wait at all, the wait is taken as exponential: exact for M/M/k, and the limit under heavy traffic for
    others (Kingman 1962).

    Args:
        share: Of all who come, such as 0.99.
        mean: Of the wait of all.
        waits: The probability of having to wait.
    """
    if waits <= 1 - share:
        return 0.0
    return mean / waits * math.log(waits / (1 - share))


def shared(rate: float, seconds: float) -> tuple[float, float]:
    """Returns how long who comes stays, on average and 99 of 100 at most, with one server that is everybody's in turn.

    Processor sharing (Kleinrock 1967): the mean is the same however much what they take differs, and the distribution
    taken as that of M/M/1, exponential.

    Args:
        rate: Arrivals a second.
        seconds: That each takes of the server, on average.

    Raises:
        OverloadError: When more comes than can be served.
    """
    utilisation = rate * seconds
    _check(utilisation)
    mean = seconds / (1 - utilisation)
    return mean, mean * math.log(100)


def servers_for(offered: float, waits: float) -> int:
    """Returns the fewest servers with one queue of which at most that share of all who come has to wait.

    What that gives is the rule of the square root (Halfin and Whitt 1981): the servers that are busy, and some more in
    proportion to their square root.
    """
    servers = math.floor(offered) + 1
    while erlang_c(servers, offered) > waits:
        servers += 1
    return servers


def _check(utilisation: float) -> None:
    if utilisation >= STABLE:
        raise OverloadError(f"{utilisation:.0%} of what can be served comes: no queue is long enough for that")
