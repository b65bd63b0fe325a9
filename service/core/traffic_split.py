"""The requests of a model split among its versions by weight: the same key comes to the same version, always.

Each version draws a number for the key, from a hash of both, and the one whose number is the least for its weight gets
it: weighted rendezvous hashing, as a race of exponential variables. So a version has its share of the keys, to raise
its weight moves keys to it and none between the others, and where a version is not there, only its own keys move.
Source: Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005 (the logarithmic method).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

UNNAMED = ""
"""Stands in place of a label for requests that name neither a version nor a label."""
SESSION = b"x-tensorgate-session"
"""Header, and metadata key: requests with the same session are answered by the same version."""
MAX_VERSIONS = 16
"""The most versions of one split: each costs a hash for each request."""
MAX_WEIGHT = 1_000_000
_DRAWS = 2.0**64


class Keyed(Protocol):
    """What asks, as far as splits go."""

    def split_key(self) -> str | None:
        """Returns what decides between versions; ``None`` where the heaviest one is to answer."""


@dataclass(frozen=True, slots=True)
class Split:
    """How requests are split.

    Attributes:
        weights: Weights by version; each gets as much as its weight is of their sum.
    """

    weights: Mapping[int, int]

    def choose(self, key: str) -> int:
        """Returns the version that answers a key: model, label, and what tells clients or requests apart."""
        text = key.encode("utf-8", "surrogatepass")
        return min(self.weights, key=lambda version: _drawn(version, self.weights[version], text))

    @property
    def heaviest(self) -> int:
        """The version of the largest weight; of equal ones the newest."""
        return max(self.weights, key=lambda version: (self.weights[version], version))

    def share(self, version: int) -> float:
        """Returns the part of the keys that a version has while all can answer, 0 to 1."""
        return self.weights.get(version, 0) / sum(self.weights.values())


def _drawn(version: int, weight: int, key: bytes) -> float:
    """Returns an exponential variable of that rate: the time that the version takes in the race for the key."""
    digest = blake2b(b"%d\0%s" % (version, key), digest_size=8).digest()
    return -math.log((int.from_bytes(digest) + 0.5) / _DRAWS) / weight if weight else math.inf


Target = int | Split
"""What a label stands for: a version, or several."""


def checked_split(weights: Mapping[int, int]) -> Split:
    """Returns the split of these weights.

    Raises:
        ValueError: When they make none; its text says what was expected.
    """
    if not 1 <= len(weights) <= MAX_VERSIONS:
        raise ValueError(f"1 to {MAX_VERSIONS} versions with weights")
    if min(weights) < 0:
        raise ValueError("versions from 0 on")
    if not all(0 <= weight <= MAX_WEIGHT for weight in weights.values()) or not any(weights.values()):
        raise ValueError(f"weights of 0 to {MAX_WEIGHT}, one of them above 0")
    return Split(dict(weights))
