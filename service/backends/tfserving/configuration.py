"""The configuration of the replicas: which models they are asked for, and how they are given others to serve."""

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
from service.core.batch_policy import AS_THE_SERVER, ServingOptions
from service.core.model_config import ModelConfig
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as pb

logger = logging.getLogger(__name__)

_RELOAD_SECONDS = 300.0
"""TensorFlow Serving answers a reload once every model of it is available or has failed."""

ResultT = TypeVar("ResultT")


class Configuration:
    """The names of the models: those that were given, else those of the configuration, else of the folder.

    TensorFlow Serving has no method that lists its models, so they must be known from elsewhere.

    Attributes:
        expected: Names of the models that are to be there.
        pushed: Whether replicas were given a configuration since this server started.
    """

    def __init__(self, options: BackendOptions) -> None:
        self._given = options.tfserving.models
        self._folder = options.models
        self._configs = options.configs
        self._coming: tuple[ModelConfig, ...] = ()
        self._ignored: set[str] = set()
        self.pushed = False
        self.expected: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models to ask for: those that are expected, and those that a reload is about to bring."""
        return tuple(dict.fromkeys((*self.expected, *(config.name for config in self._coming))))

    def options(self, name: str) -> ServingOptions:
        """Returns how a model is to be served."""
        configs = (*self._coming, *(self._configs or ()))
        return next((config.options for config in configs if config.name == name), AS_THE_SERVER)

    def base_path(self, name: str) -> Path:
        """Returns where the versions of a model would lie, if they can be reached from here."""
        configs = (*self._coming, *(self._configs or ()))
        return next((config.base_path for config in configs if config.name == name), self._folder / name)

    def from_folder(self) -> bool:
        """Returns whether the names are only those of a folder, which may hold more than the replicas serve."""
        return not self._given and self._configs is None

    async def refresh(self) -> None:
        """Reads the names again."""
        if self._given:
            self.expected = self._given
        elif self._configs is not None:
            self.expected = tuple(config.name for config in self._configs)
        else:
            names = await asyncio.to_thread(_sub_folders, self._folder)
            self.expected = tuple(name for name in names if is_model_name(name))
            ignored = set(names) - {*self.expected}
            for name in ignored - self._ignored:
                logger.warning("%s is ignored: it cannot be the name of a model", ascii(name))
            self._ignored = ignored

    async def apply(
        self, configs: Sequence[ModelConfig], replicas: Iterable[Replica], check: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """Has the replicas serve these models, and checks the result.

        One replica gets them first, and the others once it has succeeded.

        Args:
            configs: Of the models.
            replicas: Those that can be reached.
            check: Checks what came of it, of all `names`.

        Returns:
            What ``check`` returns.

        Raises:
            GatewayError: LOAD_FAILED when a replica could not do it, or BACKEND_UNAVAILABLE; or what ``check`` raises.
                The replicas have then been given their former configuration back, if that is known.
        """
        replicas = list(replicas)
        if not replicas:
            raise GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "no replica of the backend answers")
        first, *others = replicas
        self._coming = tuple(configs)
        reached = [first]
        try:
            await _push(first, configs)
            reached += others
            for failed in await asyncio.gather(*(_push(other, configs) for other in others), return_exceptions=True):
                if failed is not None:
                    raise failed
            result = await check()
        except BaseException:
            await asyncio.shield(self._roll_back(reached))
            raise
        finally:
            self._coming = ()
        self._given, self._configs, self.pushed = (), tuple(configs), True
        await self.refresh()
        return result

    async def push_to(self, replica: Replica) -> None:
        """Gives a replica that came late, or came back, the configuration that the others were given."""
        if self.pushed and self._configs is not None:
            try:
                await _push(replica, self._configs)
            except GatewayError as error:
                logger.error("the replica %s cannot serve what the others do: %s", replica.name, error.message)

    async def _roll_back(self, replicas: Sequence[Replica]) -> None:
        if self._configs is not None:
            former = self._configs
            await asyncio.gather(*(_push(replica, former) for replica in replicas), return_exceptions=True)


async def _push(replica: Replica, configs: Sequence[ModelConfig]) -> None:
    try:
        await _reload(replica, configs)
    except GatewayError as error:
        if "label" not in error.upstream or not any(config.labels for config in configs):
            raise
        # A replica refuses labels of versions that it has not loaded yet. This server keeps labels of its own, and
        # decides itself whether they may wait for their versions.
        await _reload(replica, [replace(config, labels={}) for config in configs])


async def _reload(replica: Replica, configs: Sequence[ModelConfig]) -> None:
    request = pb.ReloadConfigRequest(config=encode_reload(configs))
    try:
        answer = await replica.connection.call(
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
        return tuple(sorted(path.name for path in folder.iterdir() if path.name[:1] not in "._" and _is_folder(path)))
    except OSError:
        return ()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to where nothing may be read
        return False
