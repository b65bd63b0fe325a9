"""The access file: whom a key, a token or a certificate stands for, and what each may do with which models."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import translate
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from service.core.identity import Identity, PeerCertificate
from service.core.rights import Access, Grant, Rights
from service.errors import ErrorKind, GatewayError, Violation, invalid_input
from service.validation import validated

Glob = Annotated[str, Field(min_length=1, max_length=1024)]
Action = Literal["infer", "read", "control", "metrics"]
Claims = Mapping[str, Any]
"""What a token says, once its signature has been verified."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    models: Annotated[list[Glob], Field(min_length=1)]
    actions: Annotated[list[Action], Field(min_length=1)]

    def grant(self) -> Grant:
        """Returns what it allows."""
        return Grant(self.models, map(Access, self.actions))


class KeyEntry(_Entry):
    """A key, its holder, and what that may do."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
    name: Annotated[str, Field(min_length=1, max_length=256)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$", repr=False)]
    created: AwareDatetime
    expires: AwareDatetime | None = None


class _TokenEntry(_Entry):
    """What the holders of tokens with these claims may do."""

    claims: Annotated[dict[str, Glob], Field(min_length=1)]


class _CertificateEntry(_Entry):
    """What clients with a certificate of this subject or alternative name may do."""

    name: Glob


class Document(BaseModel):
    """All that the file says."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: list[KeyEntry] = []
    tokens: list[_TokenEntry] = []
    certificates: list[_CertificateEntry] = []


_KEY = re.compile(r"tg_[\w-]+")


def parse_document(text: str) -> Document:
    """Returns what a file says.

    Raises:
        GatewayError: MALFORMED when it is not TOML, INVALID_INPUT when it makes no sense.
    """
    try:
        fields = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of a number of more digits than Python reads, too
        raise GatewayError(ErrorKind.MALFORMED, f"it is not TOML: {error}") from None
    try:
        document = validated(Document, fields)
    except GatewayError as error:  # somebody may have put a key where its digest belongs
        found = [Violation(one.where, one.expected, _KEY.sub("tg_…", one.got)) for one in error.violations]
        raise invalid_input(*found) from None
    seen: set[str] = set()
    for index, entry in enumerate(document.keys):
        if entry.id in seen:
            raise invalid_input(Violation(f"keys[{index}].id", "another one than those above", repr(entry.id)))
        seen.add(entry.id)
    return document


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a key.

    Attributes:
        digest: Of the key's secret, SHA-256.
        expires: When the key ends, in seconds since 1970; ``None`` for never.
    """

    identity: Identity
    digest: bytes
    expires: float | None


class Policy:
    """Who may do what.

    Args:
        document: What the file says.

    Attributes:
        holders: By the ids of their keys.
    """

    def __init__(self, document: Document) -> None:
        self.holders = {entry.id: _holder(entry) for entry in document.keys}
        self._tokens = [
            ({claim: _matching(glob) for claim, glob in entry.claims.items()}, entry.grant())
            for entry in document.tokens
        ]
        self._certificates = [(_matching(entry.name), entry.grant()) for entry in document.certificates]

    def rights_of_token(self, claims: Claims) -> Rights:
        """Returns what the holder of a token may do: what each entry allows all of whose claims it has."""
        return Rights(
            grant
            for wanted, grant in self._tokens
            if all(any(map(matches, values_of(claims, claim))) for claim, matches in wanted.items())
        )

    def rights_of_certificate(self, certificate: PeerCertificate) -> Rights:
        """Returns what a client with a certificate may do: what each entry allows that has one of its names."""
        names = (certificate.subject, *certificate.names)
        return Rights(grant for matches, grant in self._certificates if any(map(matches, names)))


def values_of(claims: Claims, claim: str) -> Iterable[str]:
    """Returns the texts that a claim has: one, or those of a list; ``scope`` has some with spaces between them.

    Args:
        claims: Of a token.
        claim: Its name, or a path with dots, as ``realm_access.roles``.
    """
    value: Any = claims.get(claim)
    if value is None and "." in claim:
        value = claims
        for part in claim.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.split() if claim == "scope" else [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _holder(entry: KeyEntry) -> Holder:
    identity = Identity(entry.name, Rights([entry.grant()]), entry.id)
    return Holder(identity, bytes.fromhex(entry.sha256), _seconds(entry.expires))


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _matching(glob: str) -> Callable[[str], Any]:
    return re.compile(translate(glob)).match
