"""API keys: ``tg_<id>_<secret>``, of which a server knows the id and a digest of the secret."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

PREFIX = b"tg_"
_KEY = re.compile(rb"tg_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_ID_BYTES, _SECRET_BYTES = 6, 32
_NOBODYS = bytes(32)
"""Compared with where there is no key of an id, so that it takes as long."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its holder has it.

    Attributes:
        id: 12 hex digits; no secret.
        secret: 32 random bytes in base64url.
    """

    id: str
    secret: bytes

    @property
    def text(self) -> str:
        """What is sent."""
        return f"tg_{self.id}_{self.secret.decode()}"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret.

        A slow hash protects passwords, which can be guessed; nobody guesses 256 random bits, and each request would
        wait for it.
        """
        return hashlib.sha256(self.secret).digest()


def new_key() -> Key:
    """Returns a key that nobody has."""
    return Key(secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES).encode())


def parse_key(text: bytes) -> Key | None:
    """Returns the key; ``None`` for what is none."""
    match = _KEY.fullmatch(text)
    return None if match is None else Key(match[1].decode(), match[2])


def is_same(key: Key, digest: bytes | None) -> bool:
    """Returns whether a digest is that of the key's secret; ``None`` is that of none. Takes as long either way."""
    return hmac.compare_digest(key.digest, _NOBODYS if digest is None else digest) and digest is not None
