"""A file of an operator's that is read at the start, and followed while the server runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from service.core.plain_files import read_plain_text
from service.errors import GatewayError

logger = logging.getLogger(__name__)


class FollowedFile:
    """A text whose changes take effect as a whole, or, where they make no sense, not at all.

    Args:
        setting: By which the file is named.
        path: Of the file.
        apply: Takes the text; raises GatewayError where it makes no sense, and has changed nothing then.

    Attributes:
        path: Likewise.
    """

    def __init__(self, setting: str, path: Path, apply: Callable[[str], None]) -> None:
        self.path = path
        self._setting = setting
        self._apply = apply
        self._text: str | None = None
        self._trouble = ""

    def read(self) -> None:
        """Does what the file says now.

        Raises:
            GatewayError: MALFORMED or INVALID_INPUT, which names the file.
        """
        self._take(self._read())

    async def follow(self, seconds: float) -> None:
        """Looks at the file every so many seconds; never returns. What is wrong with it is reported once."""
        while True:
            await asyncio.sleep(seconds)
            await self._look()

    async def look(self) -> None:
        """Looks at the file at once, likewise; what is wrong with it is reported again."""
        self._trouble = ""
        await self._look()

    async def _look(self) -> None:
        try:
            text = await asyncio.to_thread(self._read)
            if text != self._text:
                self._take(text)
                logger.info("%s has changed", self.path)
            self._trouble = ""
        except GatewayError as error:
            if error.message != self._trouble:
                logger.error("%s; what it said before stays in force", error.message)
            self._trouble = error.message
        except Exception:
            logger.exception("%s could not be followed", self.path)

    def _read(self) -> str:
        return read_plain_text(self.path, f"{self._setting} {self.path}")

    def _take(self, text: str) -> None:
        try:
            self._apply(text)
        except GatewayError as error:
            raise error.reworded(f"{self._setting} {self.path}: {error.message}") from None
        self._text = text
