"""The backend that runs models on TensorFlow Serving replicas."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from service.backends.references import folder_below, reference_in
from service.backends.registry import BackendChoiceError, BackendOptions
from service.backends.tfserving import messages
from service.backends.tfserving.addresses import AddressError, parse_addresses, resolve
from service.backends.tfserving.configuration import Configuration
from service.backends.tfserving.connection import channel_factory
from service.backends.tfserving.health_checks import CheckOptions, HealthChecker
from service.backends.tfserving.pool import Pool
from service.backends.tfserving.probes import fetch_signatures
from service.backends.tfserving.replica import Key, Replica
from service.backends.tfserving.served import ReplicaCatalog
from service.core.catalog import Catalog
from service.core.deadline import Deadline
from service.core.model_config import ModelConfig
from service.core.model_version import ModelVersion, State
from service.core.offload import offloaded
from service.core.ports import Accept
from service.core.replicas import ReplicaStatus
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor, byte_size
from service.core.verified_batching import find_unbatched
from service.errors import ErrorKind, GatewayError, OutdatedVersionError

logger = logging.getLogger(__name__)

_RESOLVE_SECONDS = 2.0
_DESCRIBE_SECONDS = 30.0


class TfServingBackend:
    """Spreads runs over TensorFlow Serving replicas, and follows their health and what they serve.

    Args:
        options: Its ``tfserving`` part, and where the names of the models come from.

    Raises:
        BackendChoiceError: When an address is none, or a file for TLS cannot be used.
    """

    def __init__(self, options: BackendOptions) -> None:
        self._options = options.tfserving
        self._batching = options.batching
        self._observer = options.observer
        try:
            self._addresses = parse_addresses(self._options.addresses)
            self._connect = channel_factory(self._options)
        except AddressError as error:
            raise BackendChoiceError(f"tfserving_addresses: expected {error}") from None
        except OSError as error:
            raise BackendChoiceError(f"the file {error.filename} for TLS cannot be read: {error.strerror}") from None
        self._configuration = Configuration(options)
        self._pool = Pool(
            max_retries=self._options.max_retries,
            budget=options.retry_budget,
            observer=options.observer,
            refresh=self._refresh,
        )
        self._served = ReplicaCatalog(replicas=self._pool.replicas.values, describe=self._describe)
        self._checkers: dict[str, HealthChecker] = {}
        self._draining: set[asyncio.Task[None]] = set()
        self._resolving: asyncio.Task[None] | None = None

    async def start(self, catalog: Catalog) -> None:
        """Checks each replica once, and from then on; those that do not answer now may come later."""
        self._served.catalog = catalog
        self._resolving = asyncio.create_task(self._keep_resolving())
        await self._resolve()
        catalog.announce(())
        await self._refresh()

    async def run(
        self, version: ModelVersion, signature: Signature, inputs: Mapping[str, Tensor], deadline: Deadline
    ) -> Mapping[str, Tensor]:
        """Runs on the replica with the fewest runs in flight."""
        size = byte_size(inputs.values())
        request = await offloaded(size, lambda: messages.predict_request(version, signature, inputs))
        response = await self._pool.predict((version.name, version.version), request, deadline)
        return await offloaded(response.ByteSize(), lambda: messages.outputs_of(response, signature))

    async def close(self) -> None:
        """Stops all checks, and closes all connections."""
        self._served.close()
        tasks = [task for task in (self._resolving, *self._draining) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *(checker.stop() for checker in self._checkers.values()), return_exceptions=True)
        await asyncio.gather(*(replica.close() for replica in self._pool.replicas.values()))

    def replicas(self) -> Sequence[ReplicaStatus]:
        """Returns a snapshot of each replica."""
        return [replica.status() for replica in self._pool.replicas.values()]

    def serving(self, version: ModelVersion | None = None) -> int:
        """Returns how many replicas share the runs of a version, or all runs; 1 at least."""
        if version is None:
            return max(1, len(self._pool.serving()))
        return max(1, self._pool.count((version.name, version.version)))

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Has every replica serve these models; where one cannot, or it is not accepted, what they served before.

        To stop halfway would leave the replicas apart: who gives up waits for no answer, and it is finished.
        """
        await _finished(self._reload(configs, accept))

    async def _reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        names = {config.name for config in configs}

        async def check() -> Catalog:
            await self._refresh()
            entries = self._served.entries()
            draft = Catalog()
            draft.announce(entry for (name, _), entry in entries.items() if name in names)
            accept(draft)
            return draft

        draft = await self._configuration.apply(configs, self._pool.serving(), check)
        self._served.catalog.become(draft)
        self._expect()

    async def load(self, name: str) -> None:
        """Refuses: TensorFlow Serving loads what its configuration says."""
        raise _not_supported()

    async def unload(self, name: str) -> None:
        """Refuses likewise."""
        raise _not_supported()

    async def _describe(self, key: Key) -> ModelVersion:
        """Asks a replica what a version takes and gives, and the model itself what it is for.

        Raises:
            GatewayError: When there is no answer, or none that makes sense.
        """
        replica = next((replica for replica in self._pool.serving() if replica.serves(key)), None)
        if replica is None:
            raise GatewayError(ErrorKind.BACKEND_UNAVAILABLE, "no replica that serves it answers")
        try:
            return await self._describe_on(replica, key)
        except OutdatedVersionError:
            replica.report_missing(key)
            raise

    async def _describe_on(self, replica: Replica, key: Key) -> ModelVersion:
        fetched = await fetch_signatures(replica, key, seconds=_DESCRIBE_SECONDS)
        signatures = fetched.servable
        version = ModelVersion(*key, State.AVAILABLE, signatures=signatures)

        async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            message = messages.predict_request(version, signature, inputs)
            # On this replica alone: what a new version does with zeros is no reason to eject a replica.
            return messages.outputs_of(
                await self._pool.predict_on(replica, message, Deadline.after(_DESCRIBE_SECONDS)), signature
            )

        described = await describe(signatures, run)
        of_model = self._configuration.options(key[0])
        folder = await folder_below(self._configuration.base_path(key[0]), key[1])
        unbatched = await find_unbatched(signatures, run, policy=lambda name: of_model.policy(name, self._batching))
        return replace(
            version,
            task=described.task,
            doubt=described.doubt,
            unbatched=unbatched,
            unservable=fetched.unservable,
            reference=None if folder is None else await reference_in(folder, signatures),
            folder=folder,
            handle=object(),
        )

    async def _keep_resolving(self) -> None:
        while True:
            await asyncio.sleep(_RESOLVE_SECONDS)
            try:
                await self._resolve()
            except Exception:
                logger.exception("the addresses of the backend could not be looked up; that is tried again soon")

    async def _resolve(self) -> None:
        """Finds out which replicas there are, and starts or ends their checks; reads the names of the models again."""
        await self._configuration.refresh()
        self._expect()
        before = frozenset(self._pool.replicas)
        now = await resolve(self._addresses, before)
        for name in now - before:
            self._add(name)
        if any(replica.name in now for replica in self._pool.serving()) or not self._pool.serving():
            self._drop(before - now)  # else they stay until another one serves in their place

    def _add(self, name: str) -> None:
        replica = Replica(name, connect=self._connect, observer=self._observer, on_change=self._pool.changed)
        self._pool.replicas[name] = replica
        options = CheckOptions(
            interval=self._options.probe_seconds,
            timeout=self._options.probe_timeout,
            on_check=self._checked,
            has_alternative=lambda: any(other is not replica for other in self._pool.serving()),
            on_recovery=self._served.invalidate,
        )
        self._checkers[name] = HealthChecker(replica, self._configuration, options)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            logger.info("the replica %s is gone", name)
            del self._pool.replicas[name]
            draining = asyncio.create_task(self._checkers.pop(name).drain())
            self._draining.add(draining)
            draining.add_done_callback(self._draining.discard)
            self._checked()

    def _expect(self) -> None:
        unknown = self._configuration.from_folder() and bool(self._pool.serving())
        self._served.catalog.expect(() if unknown else self._configuration.expected)

    def _checked(self) -> None:
        """Brings the catalog in step after a check of a replica."""
        self._pool.changed()
        self._expect()
        self._served.update()

    async def _refresh(self) -> None:
        """Asks all replicas what they serve, and waits until that is in the catalog."""
        await asyncio.gather(*(checker.check() for checker in list(self._checkers.values())))
        await self._served.settled()


def _not_supported() -> GatewayError:
    text = "TensorFlow Serving loads what its configuration says: reload that, or publish a version"
    return GatewayError(ErrorKind.NOT_SUPPORTED, text)


async def _finished(work: Coroutine[Any, Any, None]) -> None:
    """Does the work to its end, also where who waits for it gives up meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a change that was asked for failed, and who asked has gone: %s", error)
        raise
