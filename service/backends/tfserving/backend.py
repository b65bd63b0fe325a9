"""The backend that runs models on TensorFlow Serving replicas."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence

from service.backends.registry import BackendChoiceError, BackendOptions
from service.backends.tfserving import messages
from service.backends.tfserving.addresses import AddressError, parse_addresses, replicas_of
from service.backends.tfserving.budget import RetryBudget
from service.backends.tfserving.channel import channels
from service.backends.tfserving.configuring import Configuring
from service.backends.tfserving.pool import Pool
from service.backends.tfserving.probing import ProbeError, probe
from service.backends.tfserving.replica import Key, Replica
from service.backends.tfserving.served import ServedVersions
from service.codecs.signature_def import decode_signature
from service.core.call import Deadline
from service.core.catalog import Catalog, ModelVersion, State
from service.core.model_config import ModelConfig
from service.core.offload import offloaded
from service.core.ports import Accept
from service.core.replicas import ReplicaState, ReplicaStatus
from service.core.tasks import describe
from service.core.tensors import Signature, Tensor, byte_size
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as pb

logger = logging.getLogger(__name__)

_LOOKUP_SECONDS = 2.0
_DESCRIBE_SECONDS = 30.0
_GRACE_SECONDS = 30.0
_SILENCES = 2
"""Probes in a row without any answer, after which a replica is taken to be gone: one may have come at a bad moment."""
_SIGNATURES = "signature_def"


class TfServingBackend:
    """Spreads runs over TensorFlow Serving replicas, and follows what they serve and how they do.

    Args:
        options: Its ``tfserving`` part, and where the names of the models come from.

    Raises:
        BackendChoiceError: When an address is none, or a file for TLS cannot be read.
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
            look_again=self._look_again,
        )
        self._served = ServedVersions(replicas=self._pool.replicas.values, describe=self._described)
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._lookups: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self, catalog: Catalog) -> None:
        """Asks each replica once, and begins to watch them; those that do not answer now may come later."""
        self._served.catalog = catalog
        await self._look_up()
        catalog.announce(())
        await self._look_again()
        self._lookups = asyncio.create_task(self._follow_lookups())

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
        tasks = [
            task for task in (self._lookups, self._looking, *self._watches.values(), *self._leaving) if task is not None
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for replica in self._pool.replicas.values():
            replica.close()

    def replicas(self) -> Sequence[ReplicaStatus]:
        """Returns all replicas as they stand."""
        return [replica.status() for replica in self._pool.replicas.values()]

    def serving(self) -> int:
        """Returns how many replicas share the runs now, 1 at least."""
        return max(1, sum(replica.state is ReplicaState.SERVING for replica in self._pool.replicas.values()))

    async def reload(self, configs: Sequence[ModelConfig], accept: Accept) -> None:
        """Has every replica serve these models; where one cannot, or it is not accepted, what they served before."""

        async def check() -> Catalog:
            await self._look_around()
            draft = Catalog()
            draft.announce(self._served.entries().values())
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
        """Asks a replica what a version takes and gives.

        Raises:
            GatewayError: When it does not say so, or fails on zeros.
            AioRpcError: When it does not answer.
            StopIteration: When none has it any more.
        """
        deadline = Deadline.after(_DESCRIBE_SECONDS)
        replica = next(replica for replica in self._pool.serving() if replica.serves(key))
        spec = pb.ModelSpec(name=key[0])
        spec.version.value = key[1]
        request = pb.GetModelMetadataRequest(model_spec=spec, metadata_field=[_SIGNATURES])
        answer = await replica.ask("GetModelMetadata", request, pb.GetModelMetadataResponse, seconds=_DESCRIBE_SECONDS)
        definitions = pb.SignatureDefMap.FromString(answer.metadata[_SIGNATURES].value).signature_def
        decoded = (decode_signature(name, definitions[name]) for name in sorted(definitions))
        signatures = {signature.name: signature for signature in decoded if signature is not None}
        version = ModelVersion(*key, State.AVAILABLE, signatures=signatures)

        async def run(signature: Signature, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return await self.run(version, signature, inputs, deadline)

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
            self._pool.replicas[name] = Replica(name, connect=self._connect, observer=self._observer)
            self._watches[name] = asyncio.create_task(self._watch(self._pool.replicas[name]))
        if any(replica.name in now for replica in self._pool.serving()) or not self._pool.serving():
            self._drop(before - now)  # else they stay until another one serves in their place

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            logger.info("the replica %s is gone", name)
            self._watches.pop(name).cancel()
            leaving = asyncio.create_task(self._see_off(self._pool.replicas.pop(name)))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            self._served.follow()

    async def _see_off(self, replica: Replica) -> None:
        """Lets a replica that gets no more requests answer those that it has; where it does not, others do."""
        silences = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                while replica.in_flight and silences < _SILENCES:
                    try:
                        await probe(replica, (), seconds=self._options.probe_timeout)
                        await asyncio.sleep(self._options.probe_seconds)
                    except ProbeError as error:
                        silences += 1 if error.silent else _SILENCES
        replica.move()
        replica.close()

    def _expect(self) -> None:
        unknown = self._configuring.unlisted() and bool(self._pool.serving())
        self._served.catalog.expect(() if unknown else self._configuring.names)

    async def _look_again(self) -> None:
        """Asks all replicas what they serve, and waits until that is in the catalog; all who ask meanwhile share it."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_around())
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._looking)

    async def _look_around(self) -> None:
        await asyncio.gather(*(self._probed(replica) for replica in self._pool.replicas.values()))
        await self._served.settled()

    async def _watch(self, replica: Replica) -> None:
        """Probes a replica for as long as it is there."""
        silences = 0
        while True:
            await asyncio.sleep(0 if silences == 1 else self._options.probe_seconds)  # the second look comes at once
            try:
                silences = 0 if await self._probed(replica, silences=silences) else silences + 1
            except Exception:
                logger.exception("the replica %s could not be probed", replica.name)

    async def _probed(self, replica: Replica, *, silences: int = 0) -> bool:
        """Probes a replica and draws the consequences; returns whether it answered."""
        state = replica.state
        try:
            await probe(replica, self._configuring.names, seconds=self._options.probe_timeout)
        except ProbeError as error:
            if not error.silent or silences + 1 >= _SILENCES or state is ReplicaState.CONNECTING:
                self._out(replica, str(error))
            self._served.follow()
            return False
        if state in {ReplicaState.CONNECTING, ReplicaState.EJECTED} and replica.state is ReplicaState.SERVING:
            logger.info("the replica %s gets requests", replica.name)
            await self._configuring.repeat(replica)
        self._expect()
        self._served.follow()
        return True

    def _out(self, replica: Replica, reason: str) -> None:
        """Leaves a replica out, and has what it works on answered by others, where there are any."""
        if replica.state is not ReplicaState.EJECTED:
            logger.warning("the replica %s gets no requests until it answers: %s", replica.name, reason)
            replica.unreachable("probe")
        if self._pool.serving():
            replica.move()
        replica.reconnect()


def _not_supported() -> GatewayError:
    text = "TensorFlow Serving loads what its configuration says: reload that, or publish a version"
    return GatewayError(ErrorKind.NOT_SUPPORTED, text)
