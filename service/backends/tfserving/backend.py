"""The backend that runs models on TensorFlow Serving replicas."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from service.backends.registry import BackendChoiceError, BackendOptions
from service.backends.tfserving import messages
from service.backends.tfserving.addresses import AddressError, parse_addresses, replicas_of
from service.backends.tfserving.budget import RetryBudget
from service.backends.tfserving.channel import channels
from service.backends.tfserving.configuring import Configuring
from service.backends.tfserving.describing import signatures_on
from service.backends.tfserving.pool import Pool
from service.backends.tfserving.replica import Key, Replica
from service.backends.tfserving.served import ServedVersions
from service.backends.tfserving.watching import Looks, Watch
from service.core.call import Deadline
from service.core.catalog import Catalog, ModelVersion, State
from service.core.model_config import ModelConfig
from service.core.offload import offloaded
from service.core.ports import Accept
from service.core.replicas import ReplicaStatus
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor, byte_size
from service.errors import ErrorKind, GatewayError

logger = logging.getLogger(__name__)

_LOOKUP_SECONDS = 2.0
_DESCRIBE_SECONDS = 30.0


class TfServingBackend:
    """Spreads runs over TensorFlow Serving replicas, and follows what they serve and how they do.

    Args:
        options: Its ``tfserving`` part, and where the names of the models come from.

    Raises:
        BackendChoiceError: When an address is none, or a file for TLS cannot be used.
    """

    def __init__(self, options: BackendOptions) -> None:
        self._options = options.tfserving
        self._observer = options.observer
        try:
            self._addresses = parse_addresses(self._options.addresses)
            self._connect = channels(self._options)
        except AddressError as error:
            raise BackendChoiceError(f"tfserving_addresses: expected {error}") from None
        except OSError as error:
            raise BackendChoiceError(f"the file {error.filename} for TLS cannot be read: {error.strerror}") from None
        self._configuring = Configuring(options)
        self._pool = Pool(
            max_retries=self._options.max_retries,
            budget=RetryBudget(ratio=self._options.retry_ratio),
            observer=options.observer,
            look_again=self._look_around,
        )
        self._served = ServedVersions(replicas=self._pool.replicas.values, describe=self._described)
        self._watches: dict[str, Watch] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._lookups: asyncio.Task[None] | None = None

    async def start(self, catalog: Catalog) -> None:
        """Asks each replica once, and begins to watch them; those that do not answer now may come later."""
        self._served.catalog = catalog
        self._lookups = asyncio.create_task(self._follow_lookups())
        await self._look_up()
        catalog.announce(())
        await self._look_around()

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs on the replica with the least to do."""
        size = byte_size(inputs.values())
        request = await offloaded(size, lambda: messages.predict_request(version, signature, inputs))
        response = await self._pool.predict((version.name, version.version), request, deadline)
        return await offloaded(response.ByteSize(), lambda: messages.outputs_of(response, signature))

    async def close(self) -> None:
        """Stops watching, and closes all connections."""
        self._served.close()
        tasks = [task for task in (self._lookups, *self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *(watch.end() for watch in self._watches.values()), return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._pool.replicas.values()))

    def replicas(self) -> Sequence[ReplicaStatus]:
        """Returns all replicas as they stand."""
        return [replica.status() for replica in self._pool.replicas.values()]

    def serving(self, version: ModelVersion | None = None) -> int:
        """Returns how many replicas share the runs of a version, or all runs; 1 at least."""
        if version is None:
            return max(1, len(self._pool.serving()))
        return max(1, self._pool.count((version.name, version.version)))

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Has every replica serve these models; where one cannot, or it is not accepted, what they served before."""
        names = {config.name for config in configs}

        async def check() -> Catalog:
            await self._look_around()
            entries = self._served.entries()
            draft = Catalog()
            draft.announce(entry for (name, _), entry in entries.items() if name in names)
            accept(draft)
            return draft

        draft = await self._configuring.change(configs, self._pool.serving(), check)
        self._served.catalog.become(draft)
        self._expect()

    async def load(self, name: str) -> None:
        """Refuses: TensorFlow Serving loads what its configuration says."""
        raise _not_supported()

    async def unload(self, name: str) -> None:
        """Refuses likewise."""
        raise _not_supported()

    async def _described(self, key: Key) -> ModelVersion:
        """Asks a replica what a version takes and gives, and the model itself what it is for.

        Raises:
            GatewayError: When there is no answer, or none that makes sense.
        """
        replica = next((replica for replica in self._pool.serving() if replica.serves(key)), None)
        if replica is None:
            raise GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "no replica that serves it answers")
        signatures = await signatures_on(replica, key, seconds=_DESCRIBE_SECONDS)
        version = ModelVersion(*key, State.AVAILABLE, signatures=signatures)
        deadline = Deadline.after(_DESCRIBE_SECONDS)

        async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            message = messages.predict_request(version, signature, inputs)
            # On this replica alone: what a new version does with zeros is no reason to leave out a replica.
            return messages.outputs_of(await self._pool.predict_on(replica, message, deadline), signature)

        task = await describe(signatures, run)
        return ModelVersion(*key, State.AVAILABLE, signatures=signatures, task=task, handle=object())

    async def _follow_lookups(self) -> None:
        while True:
            await asyncio.sleep(_LOOKUP_SECONDS)
            try:
                await self._look_up()
            except Exception:
                logger.exception("the addresses of the backend could not be looked up; that is tried again soon")

    async def _look_up(self) -> None:
        """Finds out which replicas there are, and begins or ends watching them; reads the names of the models anew."""
        await self._configuring.look()
        self._expect()
        before = frozenset(self._pool.replicas)
        now = await replicas_of(self._addresses, before)
        for name in now - before:
            self._add(name)
        if any(replica.name in now for replica in self._pool.serving()) or not self._pool.serving():
            self._drop(before - now)  # else they stay until another one serves in their place

    def _add(self, name: str) -> None:
        replica = Replica(name, connect=self._connect, observer=self._observer, changed=self._pool.changed)
        self._pool.replicas[name] = replica
        looks = Looks(
            seconds=self._options.probe_seconds,
            timeout=self._options.probe_timeout,
            looked=self._looked,
            replaceable=lambda: any(other is not replica for other in self._pool.serving()),
            returned=self._served.doubt,
        )
        self._watches[name] = Watch(replica, self._configuring, looks)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            logger.info("the replica %s is gone", name)
            del self._pool.replicas[name]
            leaving = asyncio.create_task(self._watches.pop(name).see_off())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            self._looked()

    def _expect(self) -> None:
        unknown = self._configuring.unlisted() and bool(self._pool.serving())
        self._served.catalog.expect(() if unknown else self._configuring.expected)

    def _looked(self) -> None:
        """Brings the catalog up to date after a look at a replica."""
        self._pool.changed()
        self._expect()
        self._served.follow()

    async def _look_around(self) -> None:
        """Asks all replicas what they serve, and waits until that is in the catalog."""
        await asyncio.gather(*(watch.look() for watch in list(self._watches.values())))
        await self._served.settled()


def _not_supported() -> GatewayError:
    text = "TensorFlow Serving loads what its configuration says: reload that, or publish a version"
    return GatewayError(ErrorKind.NOT_SUPPORTED, text)
