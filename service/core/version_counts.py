"""Counts of the requests that a version has answered, to compare it with another version."""

import math

from service.errors import OK, ErrorKind

_FAILED = frozenset(
    {
        ErrorKind.BACKEND_UNAVAILABLE,
        ErrorKind.BACKEND_FAILED,
        ErrorKind.TIMEOUT,
        ErrorKind.INTERNAL,
        ErrorKind.INVALID_INPUT,
    }
)
"""Codes of runs that failed; the last is of values that the graph refused, as what it asks was checked before."""
_SHORTEST, _GROWTH = 1e-4, 1.1
_BINS = 160
"""Bins of times, each a tenth longer than the one before: from 0.1 ms to 6 minutes."""


class VersionCounts:
    """Requests that one version ran: how many, how many failed, and how long the runs took.

    Attributes:
        requests: How many were run.
        failures: How many of them failed.
    """

    __slots__ = ("_bins", "failures", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.failures = 0
        self._bins = [0] * _BINS

    def count(self, code: str, seconds: float) -> None:
        """Counts a request that was run for so many seconds; one that was given up says nothing of the version."""
        if code == OK or code in _FAILED:
            self.requests += 1
            self.failures += code != OK
            self._bins[_bin(seconds)] += 1

    @property
    def error_rate(self) -> float:
        """The share of requests that failed, 0 to 1."""
        return self.failures / self.requests if self.requests else 0.0

    def quantile(self, level: float) -> float:
        """Returns the seconds within which that share of the requests was answered, a tenth too much at most."""
        left = level * self.requests
        for number, count in enumerate(self._bins):
            left -= count
            if left <= 0:
                return _SHORTEST * _GROWTH**number if self.requests else 0.0
        return _SHORTEST * _GROWTH**_BINS

    def slower_than(self, seconds: float) -> int:
        """Returns how many requests surely took longer."""
        return sum(self._bins[_bin(seconds) + 1 :])


def _bin(seconds: float) -> int:
    """Returns the bin of a time: each reaches up to `_SHORTEST` times a power of `_GROWTH`."""
    if seconds <= _SHORTEST:
        return 0
    return min(math.ceil(math.log(seconds / _SHORTEST, _GROWTH)), _BINS - 1)


def is_surely_more(hits: int, of: int, rate: float, *, chance: float) -> bool:
    """Returns whether so many hits show that they are more frequent than ``rate``: whether that is no chance.

    It is the exact one-sided binomial test: whether ``hits`` or more of ``of`` have a probability below ``chance``, if
    each is one with the probability ``rate``.
    """
    if not hits or hits <= of * rate:
        return False
    if rate <= 0:
        return True
    log_rate, log_rest = math.log(rate), math.log1p(-rate)
    tail = 0.0
    for number in range(hits, of + 1):  # the terms fall from here on, as it is beyond the mean
        ways = math.lgamma(of + 1) - math.lgamma(number + 1) - math.lgamma(of - number + 1)
        term = math.exp(ways + number * log_rate + (of - number) * log_rest)
        tail += term
        if tail >= chance:
            return False
        if term < tail * 1e-9:
            break
    return True
