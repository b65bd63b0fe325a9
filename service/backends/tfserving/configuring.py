"""Which models the replicas are asked for, and how they are told what to serve."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from grpc import aio

from service.backends.registry import BackendOptions
from service.backends.tfserving.failures import failure_of
from service.backends.tfserving.replica import Replica
from service.codecs.model_config import encode_reload
from service.core.model_config import ModelConfig
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as pb

logger = logging.getLogger(__name__)

_RELOAD_SECONDS = 300.0
"""TensorFlow Serving answers a reload once every model of it is available or has failed."""

ResultT = TypeVar("ResultT")


class Configuring:
    """Knows the names of the models: those that were given, else those of the configuration, else of the folder.

    TensorFlow Serving has no method that lists its models, so they must be known from elsewhere.

    Attributes:
        names: Of the models, as they were last looked up.
    """

    def __init__(self, options: BackendOptions) -> None:
        self._given = options.tfserving.models
        self._folder = options.models
        self._configs = options.configs
        self._told = False
        self.names: tuple[str, ...] = ()

    def unlisted(self) -> bool:
        """Tells whether the names are only those of a folder, which may hold more than the replicas serve."""
        return not self._given and self._configs is None

    async def look(self) -> None:
        """Finds out the names anew."""
        if self._given:
            self.names = self._given
        elif self._configs is not None:
            self.names = tuple(config.name for config in self._configs)
        else:
            self.names = await asyncio.to_thread(_sub_folders, self._folder)

    async def change(
        self, configs: Sequence[ModelConfig], replicas: Iterable[Replica], check: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """Has the replicas serve these models, and looks whether that came true.

        Args:
            configs: Of the models.
            replicas: Those that can be told.
            check: Looks at what came of it.

        Returns:
            What ``check`` returns.

        Raises:
            GatewayError: LOAD_FAILED when a replica could not do it, or BACKEND_UNAVAILABLE; or what ``check`` raises.
                The replicas have then been told to serve what they served before.
        """
        replicas = list(replicas)
        if not replicas:
            raise GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "no replica of the backend answers")
        before = self._given, self._configs, self._told
        self._given, self._configs, self._told = (), tuple(configs), True
        await self.look()
        try:
            await asyncio.gather(*(_told(replica, configs) for replica in replicas))
            return await check()
        except Exception:
            self._given, self._configs, self._told = before
            await self.look()
            if self._configs is not None:
                former = self._configs
                await asyncio.gather(*(_told(replica, former) for replica in replicas), return_exceptions=True)
            raise

    async def repeat(self, replica: Replica) -> None:
        """Tells a replica that came late, or came back, what the others were told since they started."""
        if self._told and self._configs is not None:
            try:
                await _told(replica, self._configs)
            except GatewayError as error:
                logger.error("the replica %s cannot serve what the others do: %s", replica.name, error.message)


async def _told(replica: Replica, configs: Sequence[ModelConfig]) -> None:
    request = pb.ReloadConfigRequest(config=encode_reload(configs))
    try:
        answer = await replica.ask(
            "HandleReloadConfigRequest", request, pb.ReloadConfigResponse, seconds=_RELOAD_SECONDS
        )
    except aio.AioRpcError as error:
        found = failure_of(error).error
        kind = ErrorKind.LOAD_FAILED if found.kind is ErrorKind.BACKEND_FAILED else found.kind
        raise GatewayError(kind, found.message, upstream=found.upstream) from None
    if answer.status.error_code:
        text = answer.status.error_message
        raise GatewayError(ErrorKind.LOAD_FAILED, text, upstream=text)


def _sub_folders(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[:1] not in "._"))
    except OSError:
        return ()
