"""Tokens that were good, remembered while they must still be: a signature costs as much as the rest of a request.

What is remembered is no answer, and a token is no message: it is what a client sends unchanged with each of its
messages until it ends. It is known again by SHA-256 of all its bytes, and only while the keys are those that it was
verified with; what it allows is looked up anew for each request.
"""

import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from service.access.key_set import KeySet
from service.access.policy import Claims
from service.access.tokens import TokenVerifier

if TYPE_CHECKING:
    from service.access.jwks import VerificationKey

_MOST = 1024
_FAR = 2**53
"""Seconds since 1970: the end of time, for a token that says a later one."""
_LONGEST_BYTES = 4096
"""Of a token that is remembered; with as many as there are at most, that bounds the memory that they take."""


@dataclass(frozen=True, slots=True)
class _Good:
    name: str
    claims: Claims
    until: float


class RememberedTokens:
    """Verifies tokens, each once while the keys are the same.

    Args:
        verifier: Does it.
        keys: What it does it with.
        leeway: Seconds that clocks may be apart.
    """

    def __init__(self, verifier: TokenVerifier, keys: KeySet, *, leeway: float) -> None:
        self._verifier = verifier
        self._keys = keys
        self._leeway = leeway
        self._used: list[VerificationKey] | None = None
        self._good: dict[bytes, _Good] = {}

    async def verify(self, token: bytes) -> tuple[str, Claims]:
        """Returns the name of who holds a token, and all its claims.

        Raises:
            TokenError, GatewayError: What `TokenVerifier.verify` raises.
        """
        if self._used is not self._keys.current:
            self._used = self._keys.current
            self._good.clear()
        digest = sha256(token).digest()
        found = self._good.get(digest)
        if found is not None and time.time() < found.until:
            return found.name, found.claims
        self._good.pop(digest, None)
        name, claims = await self._verifier.verify(token)
        if len(token) <= _LONGEST_BYTES and self._used is self._keys.current:  # it may have been waited for new ones
            while len(self._good) >= _MOST:
                del self._good[next(iter(self._good))]
            self._good[digest] = _Good(name, claims, min(int(claims["exp"]), _FAR) + self._leeway)
        return name, claims
