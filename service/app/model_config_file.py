"""The operator's file of models: read at the start, and followed while the server runs."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

from service.codecs.model_config import parse_model_configs
from service.core.control import ModelControl
from service.core.model_config import ModelConfig
from service.core.plain_files import read_plain_text
from service.core.rollout import PLAIN
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)


_TRY_AGAIN = frozenset({ErrorKind.BACKEND_UNAVAILABLE, ErrorKind.LOAD_FAILED, ErrorKind.TIMEOUT})
"""Failures to do what the file says that may be over when it is tried again."""


class ModelConfigFile:
    """A file in the text format of TensorFlow Serving's ``--model_config_file``.

    Args:
        path: Of the file.

    Attributes:
        path: Likewise.
        in_effect: Whether the file could be read when it was last looked at, and what it says is done.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.in_effect = True
        self._text = ""
        self._configs: list[ModelConfig] = []
        self._done_configs: list[ModelConfig] = []
        self._done: str | None = None  # what was read at the start is, once it is looked at again
        self._trouble = ""
        self._looking = asyncio.Lock()

    def read(self) -> list[ModelConfig]:
        """Returns what the file says now.

        Raises:
            GatewayError: MALFORMED or INVALID_INPUT, which names the file.
        """
        self._text = read_plain_text(self.path, f"model_config_file {self.path}")
        try:
            self._configs = parse_model_configs(self._text, folder=self.path.resolve().parent)
            return self._configs
        except GatewayError as error:
            raise error.reworded(f"model_config_file {self.path}: {error.message}") from None

    async def follow(self, control: ModelControl, seconds: float) -> None:
        """Looks at the file every so many seconds, and does what it says when it has changed; never returns.

        A file that cannot be read or makes no sense changes nothing, and is reported once.
        """
        while True:
            await asyncio.sleep(seconds)
            await self._look(control)

    async def look(self, control: ModelControl) -> None:
        """Looks at the file at once, likewise; what is wrong with it is reported again."""
        self._trouble = ""
        await self._look(control)

    async def _look(self, control: ModelControl) -> None:
        async with self._looking:
            before = self._text
            if self._done is None:
                self._done, self._done_configs = before, self._configs
            try:
                configs = await asyncio.to_thread(self.read)
                if self._text != before:
                    logger.info("%s has changed", self.path)
                    if _in_models(configs) == _in_models(self._done_configs) and control.is_followed:
                        control.direct(configs)  # at once, and whether or not replicas can be reached
                    else:
                        await control.follow(configs)
                    self._done, self._done_configs = self._text, configs
                self._trouble = ""
                self.in_effect = self._text == self._done
            except GatewayError as error:
                self.in_effect = False
                if error.kind in _TRY_AGAIN:
                    self._text = before
                if error.message != self._trouble:
                    logger.error("%s", error.message)
                self._trouble = error.message
            except Exception:
                self.in_effect = False
                logger.exception("%s could not be followed", self.path)


def _in_models(configs: list[ModelConfig]) -> list[ModelConfig]:
    """Returns the configurations without what is said of where requests go, which the backend need not know."""
    return [replace(config, traffic=PLAIN) for config in configs]
