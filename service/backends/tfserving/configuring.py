"""Which models the replicas are asked for, and how they are told what to serve."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from grpc import aio

from service.backends.registry import BackendOptions
from service.backends.tfserving.connection import CallError
from service.backends.tfserving.failures import failure_of
from service.backends.tfserving.replica import Replica
from service.codecs.model_config import encode_reload, is_model_name
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
        names: Of the models to ask for.
        expected: Of the models that are to be there.
        told: Whether replicas were told what to serve since they started.
    """

    def __init__(self, options: BackendOptions) -> None:
        self._given = options.tfserving.models
        self._folder = options.models
        self._configs = options.configs
        self._coming: tuple[str, ...] = ()
        self._passed_over: set[str] = set()
        self.told = False
        self.expected: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are expected, and those that a reload is about to bring."""
        return tuple(dict.fromkeys((*self.expected, *self._coming)))

    def unlisted(self) -> bool:
        """Tells whether the names are only those of a folder, which may hold more than the replicas serve."""
        return not self._given and self._configs is None

    async def look(self) -> None:
        """Finds out the names anew."""
        if self._given:
            self.expected = self._given
        elif self._configs is not None:
            self.expected = tuple(config.name for config in self._configs)
        else:
            names = await asyncio.to_thread(_sub_folders, self._folder)
            self.expected = tuple(name for name in names if is_model_name(name))
            for name in set(names) - {*self.expected} - self._passed_over:
                logger.warning("%s is passed over: it cannot be the name of a model", ascii(name))
            self._passed_over = set(names) - {*self.expected}

    async def change(
        self, configs: Sequence[ModelConfig], replicas: Iterable[Replica], check: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """Has the replicas serve these models, and looks whether that came true.

        One replica is told first, and the others once it has succeeded.

        Args:
            configs: Of the models.
            replicas: Those that can be told.
            check: Looks at what came of it, of all `names`.

        Returns:
            What ``check`` returns.

        Raises:
            GatewayError: LOAD_FAILED when a replica could not do it, or BACKEND_UNAVAILABLE; or what ``check`` raises.
                The replicas have then been told to serve what they served before, if that is known.
        """
        replicas = list(replicas)
        if not replicas:
            raise GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "no replica of the backend answers")
        first, *others = replicas
        self._coming = tuple(config.name for config in configs)
        told = [first]
        try:
            await _told(first, configs)
            told += others
            for failed in await asyncio.gather(*(_told(other, configs) for other in others), return_exceptions=True):
                if failed is not None:
                    raise failed
            result = await check()
        except BaseException:
            await asyncio.shield(self._take_back(told))
            raise
        finally:
            self._coming = ()
        self._given, self._configs, self.told = (), tuple(configs), True
        await self.look()
        return result

    async def repeat(self, replica: Replica) -> None:
        """Tells a replica that came late, or came back, what the others were told since they started."""
        if self.told and self._configs is not None:
            try:
                await _told(replica, self._configs)
            except GatewayError as error:
                logger.error("the replica %s cannot serve what the others do: %s", replica.name, error.message)

    async def _take_back(self, replicas: Sequence[Replica]) -> None:
        if self._configs is not None:
            former = self._configs
            await asyncio.gather(*(_told(replica, former) for replica in replicas), return_exceptions=True)


async def _told(replica: Replica, configs: Sequence[ModelConfig]) -> None:
    try:
        await _reloaded(replica, configs)
    except GatewayError as error:
        if "label" not in error.upstream or not any(config.labels for config in configs):
            raise
        # A replica refuses labels of versions that it has not loaded yet. This server keeps labels of its own, and
        # decides itself whether they may wait for their versions.
        await _reloaded(replica, [replace(config, labels={}) for config in configs])


async def _reloaded(replica: Replica, configs: Sequence[ModelConfig]) -> None:
    request = pb.ReloadConfigRequest(config=encode_reload(configs))
    try:
        answer = await replica.connection.ask(
            "HandleReloadConfigRequest", request, pb.ReloadConfigResponse, seconds=_RELOAD_SECONDS
        )
    except aio.AioRpcError as error:
        found = failure_of(error).error
        kind = ErrorKind.LOAD_FAILED if found.kind is ErrorKind.BACKEND_FAILED else found.kind
        raise GatewayError(kind, found.message, upstream=found.upstream) from None
    except CallError as failed:
        raise failed.failure.error from None
    if answer.status.error_code:
        text = answer.status.error_message
        raise GatewayError(ErrorKind.LOAD_FAILED, text, upstream=text)


def _sub_folders(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[:1] not in "._"))
    except OSError:
        return ()
