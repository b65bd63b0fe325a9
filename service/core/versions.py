"""Version policies: which of a model's versions are to be served; as TensorFlow Serving has them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LATEST = re.compile(r"latest(?::([1-9][0-9]{0,8}))?")
_SPECIFIC = re.compile(r"specific:((?:0|[1-9][0-9]{0,18})(?:,(?:0|[1-9][0-9]{0,18}))*)")


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which versions to serve.

    Attributes:
        newest: How many of the newest; ``None`` for no limit.
        only: Only these; ``None`` for any.
    """

    newest: int | None = 1
    only: frozenset[int] | None = None

    @classmethod
    def parse(cls, text: str) -> "VersionPolicy":
        """Reads ``latest``, ``latest:N``, ``all`` or ``specific:N,N,...``.

        Raises:
            ValueError: When it is none of these.
        """
        if text == "all":
            return cls(newest=None)
        if match := _LATEST.fullmatch(text):
            return cls(newest=int(match[1] or 1))
        if match := _SPECIFIC.fullmatch(text):
            return cls(newest=None, only=frozenset(map(int, match[1].split(","))))
        raise ValueError("latest, latest:N, all or specific:N,N,...")

    def choose(self, versions: Iterable[int]) -> list[int]:
        """Returns those of the versions that are to be served, the newest first."""
        allowed = sorted((version for version in versions if self.only is None or version in self.only), reverse=True)
        return allowed[: self.newest]
