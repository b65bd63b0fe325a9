"""What an identity may do, by model: actions, and globs of names."""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from fnmatch import translate


class Access(StrEnum):
    """What a request asks for: each method and each route has one."""

    PUBLIC = "public"
    """Open to everybody; what it tells of models is limited to what the identity may read."""
    AUTHENTICATED = "authenticated"
    """Open to whoever has any right, and limited to the models that the right is for."""
    INFER = "infer"
    """Ask a model for answers."""
    READ = "read"
    """See which models there are, and what they take and give."""
    CONTROL = "control"
    """Load and unload models, and move labels."""
    METRICS = "metrics"
    """See what was asked of models, and how they do."""


FOR_ADMIN = frozenset({Access.CONTROL, Access.METRICS})
"""Actions for operators: a server with an admin address answers them only there."""
ACTIONS = (Access.INFER, Access.READ, Access.CONTROL, Access.METRICS)
"""Those that can be granted."""
_EVERY_MODEL = "*"


class Grant:
    """Actions that are allowed on some models.

    Args:
        models: Globs of names: ``*``, ``?`` and ``[...]``.
        actions: Some of `ACTIONS`.

    Attributes:
        actions: Likewise.
        covers_all: Whether it is for every model, now and later.
    """

    __slots__ = ("_matches", "actions", "covers_all")

    def __init__(self, models: Sequence[str], actions: Iterable[Access]) -> None:
        self.actions = frozenset(actions)
        self.covers_all = _EVERY_MODEL in models
        self._matches = re.compile("|".join(map(translate, models)) or r"(?!)").match

    def is_for(self, model: str) -> bool:
        """Returns whether it is for a model, whether there is one of that name or not."""
        return self.covers_all or self._matches(model) is not None


class Rights:
    """What an identity may do: whatever one of its grants allows.

    Args:
        grants: All of them.
    """

    __slots__ = ("_grants",)

    def __init__(self, grants: Iterable[Grant] = ()) -> None:
        self._grants = tuple(grants)

    def see(self, model: str) -> bool:
        """Returns whether a model exists for it: whether it may do anything with it."""
        return any(grant.is_for(model) for grant in self._grants)

    def allow(self, access: Access, model: str) -> bool:
        """Returns whether it may ask that of a model."""
        if access is Access.AUTHENTICATED:
            return self.see(model)
        return any(access in grant.actions and grant.is_for(model) for grant in self._grants)

    def allow_some(self, access: Access) -> bool:
        """Returns whether there may be a model of which it may ask that."""
        if access is Access.AUTHENTICATED:
            return bool(self._grants)
        return any(access in grant.actions for grant in self._grants)

    def allow_all(self, access: Access) -> bool:
        """Returns whether it may ask that of every model, whatever its name."""
        return any(access in grant.actions and grant.covers_all for grant in self._grants)


NO_RIGHTS = Rights()
