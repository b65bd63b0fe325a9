"""The public keys that tokens are verified with: a JSON Web Key Set (RFC 7517)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from service.errors import ErrorKind, GatewayError

_MIN_RSA_BITS = 2048
_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_OF_CURVE = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",), "Ed25519": ("EdDSA",), "Ed448": ("EdDSA",)}
"""Whatever else a token or a key names, ``none`` and the symmetric ones among it, is no algorithm here."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key.

    Attributes:
        kid: Its id, if it has one.
        algorithms: Names of those that it may be used with.
        key: As the library has it.
    """

    kid: str | None
    algorithms: tuple[str, ...]
    key: Any


def parse_jwks(data: bytes) -> list[VerificationKey]:
    """Returns the keys of a set that can verify signatures; others in it do not matter (RFC 7517, section 5).

    Raises:
        GatewayError: MALFORMED when it is no set, INVALID_INPUT when it has no such key.
    """
    try:
        found = orjson.loads(data)["keys"]
        entries = [entry for entry in found if isinstance(entry, dict)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise GatewayError(ErrorKind.MALFORMED, "expected a JSON Web Key Set, {'keys': [...]}") from None
    keys = [key for entry in entries if (key := _key(entry)) is not None]
    if not keys:
        text = "expected a key for signatures among its keys (RSA of 2048 bits or more, EC or OKP), got none"
        raise GatewayError(ErrorKind.INVALID_INPUT, text)
    return keys


def chosen(keys: Iterable[VerificationKey], kid: str | None, algorithm: str) -> VerificationKey | None:
    """Returns the key of an id that may be used with an algorithm; without an id the only one that may, if it is."""
    fit = [key for key in keys if algorithm in key.algorithms and kid in (None, key.kid)]
    return fit[0] if fit and (kid is not None or len(fit) == 1) else None


def _key(entry: dict[str, Any]) -> VerificationKey | None:
    if entry.get("use", "sig") != "sig":
        return None
    algorithms = _OF_RSA if entry.get("kty") == "RSA" else _OF_CURVE.get(str(entry.get("crv")), ())
    if (only := entry.get("alg")) is not None:
        algorithms = (only,) if only in algorithms else ()
    if not algorithms or entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    public = {name: value for name, value in entry.items() if name in {"kty", "n", "e", "crv", "x", "y"}}
    try:
        key = jwt.PyJWK(public, algorithms[0]).key
    except (jwt.PyJWTError, LookupError, TypeError, ValueError):  # members of other types than the library expects
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        return None
    kid = entry.get("kid")
    return VerificationKey(kid if isinstance(kid, str) else None, algorithms, key)
