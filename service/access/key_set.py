"""The set of keys that tokens are verified with, as it is now: read again and again from a file or a URL."""

import asyncio
import logging
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from service.access.jwks import VerificationKey, chosen, parse_jwks
from service.core.plain_files import read_plain_file
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

_MAX_BYTES = 1 << 20
_TIMEOUT_SECONDS = 10.0
_UNKNOWN_SECONDS = 10.0
"""Between two looks for a key of which nothing is known: tokens of nobody must not keep an issuer busy."""
_RETRY_SECONDS = 10.0
_PART_BYTES = 65_536
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class KeySet:
    """The keys of one source. When it is away, or what it has makes no sense, the last good ones are used.

    Args:
        source: A file, or an ``https://`` URL; ``http://`` on this machine alone, as whoever can change keys on their
            way is everybody.
        seconds: Between two looks.
        observe: Takes whether a look went well.

    Attributes:
        current: The keys, another list each time that they are others; ``None`` while there are none yet.

    Raises:
        GatewayError: INVALID_INPUT for another URL.
    """

    def __init__(self, source: str, *, seconds: float, observe: Callable[[bool], None]) -> None:
        self._fetch = _fetcher(source)
        self._source = source
        self._seconds = seconds
        self._observe = observe
        self._data = b""
        self.current: list[VerificationKey] | None = None
        self._trouble = ""
        self._looked = -_UNKNOWN_SECONDS
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is read from a file."""
        return not _is_url(self._source)

    def read(self) -> None:
        """Reads it at once.

        Raises:
            GatewayError: What is wrong with the source, which it names.
        """
        try:
            data = self._fetch()
            if data != self._data:
                self.current, self._data = parse_jwks(data), data
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise GatewayError(ErrorKind.MALFORMED, f"jwt_jwks {self._source}: {reason}") from None
        except GatewayError as error:
            raise error.reworded(f"jwt_jwks {self._source}: {error.message}") from None

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """Returns the key that a token names; looks for it once more, where there is none and that was not done lately.

        Raises:
            GatewayError: NOT_READY while there are no keys at all.
        """
        found = chosen(self.current or (), kid, algorithm)
        is_due = time.monotonic() - self._looked >= _UNKNOWN_SECONDS
        if found is None and (is_due or self._looking is not None):
            await self.look()
            found = chosen(self.current or (), kid, algorithm)
        if self.current is None:
            text = "the keys that tokens are signed with could not be had yet"
            raise GatewayError(ErrorKind.NOT_READY, text)
        return found

    async def look(self) -> None:
        """Reads it again, once for all who wait for that meanwhile; what is wrong is logged once."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            await asyncio.to_thread(self.read)
        except GatewayError as error:
            self._observe(False)
            if error.message != self._trouble:
                logger.error("%s%s", error.message, "; the last good keys are used" if self.current else "")
            self._trouble = error.message
        except Exception:
            self._observe(False)
            logger.exception("jwt_jwks %s could not be read", self._source)
        else:
            self._observe(True)
            if self._trouble:
                logger.info("jwt_jwks %s can be read again", self._source)
            self._trouble = ""
        finally:
            self._looking = None

    async def follow(self) -> None:
        """Looks again and again, sooner where it failed; never returns."""
        while True:
            if self._seconds or self.current is None:
                await self.look()
            await asyncio.sleep(
                min(self._seconds, _RETRY_SECONDS) if self._trouble else self._seconds or _RETRY_SECONDS
            )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Where the keys are is what the operator says, and nobody else."""

    def redirect_request(self, *request: Any, **more: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _is_url(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def _fetcher(source: str) -> Callable[[], bytes]:
    if not _is_url(source):
        return partial(read_plain_file, Path(source))
    parts = urlsplit(source)
    if parts.username is not None or parts.password is not None:
        raise GatewayError(ErrorKind.INVALID_INPUT, "jwt_jwks: expected a URL without user and password")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        text = f"jwt_jwks: expected https://, or a file, as keys can be changed on their way by http, got {source}"
        raise GatewayError(ErrorKind.INVALID_INPUT, text)
    return lambda: _fetched(source)


def _fetched(url: str) -> bytes:
    """Returns what is there, within the time and up to the size that a set of keys needs.

    Raises:
        OSError, HTTPException, ValueError: When there is nothing, or too much, or it takes too long.
    """
    ends = time.monotonic() + _TIMEOUT_SECONDS
    try:
        answer = _OPENER.open(url, timeout=_TIMEOUT_SECONDS / 2)
    except HTTPError as error:
        error.close()  # it has the connection
        raise
    with answer as response:
        data = b""
        while part := response.read1(_PART_BYTES):
            data += part
            if len(data) > _MAX_BYTES:
                raise ValueError(f"expected at most {_MAX_BYTES} bytes, got more")
            if time.monotonic() > ends:
                raise ValueError(f"expected it within {_TIMEOUT_SECONDS:g} s, got a part")
    return data
