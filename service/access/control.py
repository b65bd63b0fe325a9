"""Finds out who sends a request: by a key, by a token, or by the certificate of its connection."""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Protocol

from service.access.keys import PREFIX, is_same, parse_key
from service.access.policy import Claims, Document, Policy
from service.core.identity import Identity, PeerCertificate, UnauthenticatedError
from service.errors import Violation

API_KEY, AUTHORIZATION = b"x-api-key", b"authorization"
_SCHEME = b"bearer"
_CHALLENGE = 'Bearer realm="tensorgate"'


class Method(StrEnum):
    """By what a client shows who it is."""

    KEY = "key"
    TOKEN = "token"  # noqa: S105
    CERTIFICATE = "certificate"


class Outcome(StrEnum):
    """What came of it."""

    OK = "ok"
    MALFORMED = "malformed"
    """It is none."""
    UNKNOWN = "unknown"
    """There is no such key, or nobody who may have signed such a token."""
    EXPIRED = "expired"
    """It was good once."""
    INVALID = "invalid"
    """It is of another issuer, for another audience, or signed by somebody else."""


class TokenError(Exception):
    """A token cannot be believed.

    Args:
        outcome: Why, for metrics.
        got: What came, in words that tell nothing of it.
    """

    def __init__(self, outcome: Outcome, got: str) -> None:
        super().__init__(got)
        self.outcome = outcome


class Tokens(Protocol):
    """Verifies tokens."""

    async def verify(self, token: bytes) -> tuple[str, Claims]:
        """Returns the name of who holds a token, and all its claims.

        Raises:
            TokenError: When it cannot be believed.
            GatewayError: NOT_READY while the keys that tokens are signed with are not known.
        """


class AccessControl:
    """Knows who may ask: implements `service.core.identity.Authenticator`.

    Args:
        tokens: Verifies tokens, where they are accepted.
        observe: Takes what was shown, and what came of it.

    Attributes:
        policy: Who may do what; replaced as a whole when the file has changed.
    """

    def __init__(self, tokens: Tokens | None, observe: Callable[[Method, Outcome], None]) -> None:
        self.policy = Policy(Document())
        self._tokens = tokens
        self._observe = observe
        self._expected = "a key (tg_...) of this server" + ("" if tokens is None else ", or a token (JWT)")

    async def identify(self, metadata: Mapping[bytes, bytes], certificate: PeerCertificate | None) -> Identity:
        """Returns who it is: by its ``X-API-Key``, else its ``Authorization``, else its certificate.

        Raises:
            UnauthenticatedError: When it shows nothing, or nothing that can be believed.
            GatewayError: NOT_READY while the keys that tokens are signed with are not known.
        """
        if (given := metadata.get(API_KEY)) is not None:
            return self._by_key(given.strip(), "X-API-Key")
        if (given := metadata.get(AUTHORIZATION)) is not None:
            scheme, _, shown = given.partition(b" ")
            shown = shown.strip()
            if scheme.strip().lower() == _SCHEME and not shown:
                raise _refused("Authorization", f"Bearer and {self._expected}", "Bearer and nothing after it", error="")
            if scheme.lower() == _SCHEME and shown.startswith(PREFIX):
                return self._by_key(shown, "Authorization")
            if scheme.lower() == _SCHEME and self._tokens is not None:
                return await self._by_token(shown, self._tokens)
            expected = f"Bearer and {self._expected}"
            raise _refused("Authorization", expected, "something else", error="")
        if certificate is not None:
            return self._by_certificate(certificate)
        raise _refused("Authorization", f"Bearer and {self._expected}", "nothing, and no X-API-Key", error="")

    def _by_key(self, text: bytes, where: str) -> Identity:
        key = parse_key(text)
        if key is None:
            self._observe(Method.KEY, Outcome.MALFORMED)
            raise _refused(where, "a key (tg_...) of this server", "what is no key" if text else "nothing")
        holder = self.policy.holders.get(key.id)
        if not is_same(key, None if holder is None else holder.digest) or holder is None:
            self._observe(Method.KEY, Outcome.UNKNOWN)
            raise _refused(where, "a key (tg_...) of this server", "a key that is not known here")
        if holder.expires is not None and holder.expires <= time.time():
            self._observe(Method.KEY, Outcome.EXPIRED)
            raise _refused(where, "a key that is still good", "one that has expired")
        self._observe(Method.KEY, Outcome.OK)
        return holder.identity

    async def _by_token(self, token: bytes, tokens: Tokens) -> Identity:
        try:
            name, claims = await tokens.verify(token)
        except TokenError as error:
            self._observe(Method.TOKEN, error.outcome)
            raise _refused("Authorization", "a key or a token that is good here", str(error)) from None
        self._observe(Method.TOKEN, Outcome.OK)
        return Identity(name, self.policy.rights_of_token(claims), Method.TOKEN.value)

    def _by_certificate(self, certificate: PeerCertificate) -> Identity:
        self._observe(Method.CERTIFICATE, Outcome.OK)
        name = next(iter(certificate.names), certificate.subject)
        return Identity(name, self.policy.rights_of_certificate(certificate), Method.CERTIFICATE.value)


def _refused(where: str, expected: str, got: str, *, error: str = "invalid_token") -> UnauthenticatedError:
    """Returns the error, which tells nothing of what came (RFC 6750, section 3)."""
    challenge = f'{_CHALLENGE}, error="{error}", error_description="{got}"' if error else _CHALLENGE
    return UnauthenticatedError(Violation(where, expected, got), challenge)
