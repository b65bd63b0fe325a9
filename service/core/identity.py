"""Who sends a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request, as far as that is known.

    Attributes:
        name: For rights, limits and logs; empty for anybody.
    """

    name: str = ""


ANYBODY = Identity()
"""Who has said nothing of itself, or was not asked."""
