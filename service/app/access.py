"""Access control, made of the settings: the file of who may do what, and the keys of tokens, both followed."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from service.access.control import AccessControl, Tokens
from service.access.policy import Policy, parse_document
from service.app.followed_file import FollowedFile
from service.app.settings import Settings
from service.errors import ErrorKind, GatewayError, not_installed
from service.telemetry.access import AccessMetrics

if TYPE_CHECKING:
    from service.access.key_set import KeySet


class FollowedAccess:
    """Knows who may ask, as its file says while the server runs.

    Args:
        settings: Of tokens, and how often to look.
        path: Of the access file.
        metrics: Count what is shown.

    Attributes:
        authenticator: Finds out who sends a request.
        path: Likewise.

    Raises:
        GatewayError: When a file cannot be read or makes no sense, or a package is missing.
    """

    def __init__(self, settings: Settings, path: Path, metrics: AccessMetrics) -> None:
        self.path = path
        self._poll_seconds = settings.poll_seconds
        self._keys, tokens = _tokens(settings, metrics)
        self.authenticator = AccessControl(tokens, metrics.observe)
        self._file = FollowedFile("access_file", path, self._apply)
        self._file.read()

    def _apply(self, text: str) -> None:
        self.authenticator.policy = Policy(parse_document(text))

    async def follow(self) -> None:
        """Looks at the file, and for the keys of tokens, again and again."""
        follows = [self._file.follow(self._poll_seconds)] if self._poll_seconds else []
        await asyncio.gather(*follows, *([] if self._keys is None else [self._keys.follow()]))

    async def look(self) -> None:
        """Looks at once; what is wrong with the file is reported again."""
        await self._file.look()
        if self._keys is not None:
            await self._keys.look()


def followed_access(settings: Settings, metrics: AccessMetrics) -> FollowedAccess | None:
    """Returns what controls access; ``None`` where everybody may do everything.

    Raises:
        GatewayError: When a file cannot be read or makes no sense, or a package is missing.
    """
    return None if settings.access_file is None else FollowedAccess(settings, settings.access_file, metrics)


def _tokens(settings: Settings, metrics: AccessMetrics) -> "tuple[KeySet | None, Tokens | None]":
    """Returns the keys of tokens, and what verifies these; only then is what it takes imported."""
    if not settings.jwt_jwks:
        return None, None
    try:
        from service.access.key_set import KeySet  # noqa: PLC0415
        from service.access.remembered import RememberedTokens  # noqa: PLC0415
        from service.access.tokens import TokenVerifier  # noqa: PLC0415
    except ModuleNotFoundError as error:
        text = f"jwt_jwks: {not_installed(error.name, 'jwt')}"
        raise GatewayError(ErrorKind.NOT_SUPPORTED, text) from None
    is_url = "://" in settings.jwt_jwks
    seconds = settings.jwt_refresh_seconds if is_url else settings.poll_seconds
    keys = KeySet(settings.jwt_jwks, seconds=seconds, observe=metrics.looked)
    if not is_url:
        keys.read()
    verifier = TokenVerifier(
        keys,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        leeway=settings.jwt_leeway,
        name_claim=settings.jwt_name_claim,
    )
    return keys, RememberedTokens(verifier, keys, leeway=settings.jwt_leeway)
