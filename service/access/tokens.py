"""JSON Web Tokens (RFC 7519): who signed them, for whom, and until when they are good."""

from typing import Any

import jwt

from service.access.control import Outcome, TokenError
from service.access.key_set import KeySet
from service.access.policy import Claims

_MAX_BYTES = 16 * 1024
_LONGEST_NAME = 256
_OPTIONS: Any = {"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True}
_REASONS: dict[type[Exception], tuple[Outcome, str]] = {
    jwt.ExpiredSignatureError: (Outcome.EXPIRED, "a token that has expired"),
    jwt.ImmatureSignatureError: (Outcome.INVALID, "a token that is not good yet"),
    jwt.InvalidIssuedAtError: (Outcome.INVALID, "a token that is not issued yet"),
    jwt.InvalidAudienceError: (Outcome.INVALID, "a token for another audience"),
    jwt.InvalidIssuerError: (Outcome.INVALID, "a token of another issuer"),
    jwt.InvalidSignatureError: (Outcome.INVALID, "a token whose signature is not good"),
    jwt.MissingRequiredClaimError: (Outcome.INVALID, "a token without one of the claims exp, iss and aud"),
}


class TokenVerifier:
    """Verifies tokens.

    Args:
        keys: What they may be signed with.
        issuer: Who must have issued them.
        audience: For whom they must be.
        leeway: Seconds that clocks may be apart.
        name_claim: The claim that names who holds it.
    """

    def __init__(self, keys: KeySet, *, issuer: str, audience: str, leeway: float, name_claim: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._name_claim = name_claim

    async def verify(self, token: bytes) -> tuple[str, Claims]:
        """Returns the name of who holds a token, and all its claims.

        Raises:
            TokenError: When it cannot be believed.
            GatewayError: NOT_READY while the keys are not known.
        """
        kid, algorithm = _header(token)
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise TokenError(Outcome.UNKNOWN, "a token that is signed with a key or in a way that is not known here")
        try:
            claims: Claims = jwt.decode(
                token,
                key.key,
                [algorithm],
                _OPTIONS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenError(*_REASONS.get(type(error), (Outcome.INVALID, "a token that is not good"))) from None
        name = claims.get(self._name_claim)
        if not isinstance(name, str) or not name or not name.isprintable() or len(name) > _LONGEST_NAME:
            raise TokenError(Outcome.INVALID, f"a token without a name in the claim {self._name_claim}")
        return name, claims


def _header(token: bytes) -> tuple[str | None, str]:
    """Returns the id of the key that a token names, and the algorithm.

    Raises:
        TokenError: When it is no token.
    """
    if len(token) > _MAX_BYTES:
        raise TokenError(Outcome.MALFORMED, f"more than {_MAX_BYTES} bytes")
    try:
        header = jwt.get_unverified_header(token)
        kid, algorithm = header.get("kid"), header["alg"]
    except (jwt.PyJWTError, LookupError, ValueError, TypeError, RecursionError):
        raise TokenError(Outcome.MALFORMED, "what is no token") from None
    if not isinstance(algorithm, str):
        raise TokenError(Outcome.MALFORMED, "what is no token")
    return kid, algorithm
