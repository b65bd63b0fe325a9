"""What a replica is asked besides inference: its health, the versions that it has, and their signatures."""

import asyncio
from collections.abc import Collection, Iterable, Mapping

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from service.backends.reasons import none_servable, shortened
from service.backends.tfserving.connection import CallError
from service.backends.tfserving.failures import failure_of
from service.backends.tfserving.replica import Key, Replica, VersionStatus
from service.codecs.signature_def import DecodedSignatures, decode_signatures
from service.core.model_version import State
from service.errors import ErrorKind, GatewayError
from service.wire import tensorflow_serving_pb2 as pb

_CONCURRENCY = 2
"""Probes of one replica at a time: each takes one of the threads that it has for inference."""
_MAX_VERSIONS = 1000
"""Versions of one model that are looked at, the newest first; a replica never forgets those that it had."""
_STATES = {
    pb.ModelVersionStatus.START: State.START,
    pb.ModelVersionStatus.LOADING: State.LOADING,
    pb.ModelVersionStatus.AVAILABLE: State.AVAILABLE,
    pb.ModelVersionStatus.UNLOADING: State.UNLOADING,
    pb.ModelVersionStatus.END: State.END,
}
_SIGNATURE_DEF = "signature_def"


class ProbeError(Exception):
    """A replica did not answer its probe.

    Args:
        reason: What it did instead.
        silent: Whether it did nothing at all.
    """

    def __init__(self, reason: str, *, silent: bool) -> None:
        super().__init__(reason)
        self.silent = silent


async def probe_health(replica: Replica, names: Collection[str], *, seconds: float) -> None:
    """Has a replica report its health; one without a health service is asked for a model instead.

    One that has no room for the question is alive, and busy: its last report holds.

    Args:
        replica: To ask.
        names: Of the models.
        seconds: For the answer.

    Raises:
        ProbeError: When it did not answer in time, or could not.
    """
    try:
        async with asyncio.timeout(seconds):
            serving = await replica.connection.check_health(seconds=seconds)
            if serving is None:
                await _versions(replica, next(iter(names), ""), seconds)
                serving = True
    except (TimeoutError, aio.AioRpcError, CallError) as error:
        if isinstance(error, aio.AioRpcError) and error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return
        raise _probe_error(error, seconds) from None
    replica.report_health(serving=serving)


async def probe_versions(replica: Replica, names: Iterable[str], *, seconds: float) -> None:
    """Has a replica report the states of these models; where it does not answer, its last report holds.

    Args:
        replica: One that is healthy.
        names: Of the models.
        seconds: For each of them.
    """
    semaphore = asyncio.Semaphore(_CONCURRENCY)
    known: dict[str, dict[Key, VersionStatus]] = {}
    for key, status in replica.versions.items():
        known.setdefault(key[0], {})[key] = status

    async def versions(name: str) -> Mapping[Key, VersionStatus]:
        async with semaphore:
            try:
                async with asyncio.timeout(seconds):
                    return await _versions(replica, name, seconds)
            except (TimeoutError, aio.AioRpcError, CallError):
                return known.get(name, {})

    found = await asyncio.gather(*(versions(name) for name in names))
    replica.report_versions({key: status for part in found for key, status in part.items()})


async def fetch_signatures(replica: Replica, key: Key, *, seconds: float) -> DecodedSignatures:
    """Returns the signatures of a version, of which one at least can be served.

    Raises:
        GatewayError: When the replica does not answer, or has none.
    """
    spec = pb.ModelSpec(name=key[0])
    spec.version.value = key[1]
    request = pb.GetModelMetadataRequest(model_spec=spec, metadata_field=[_SIGNATURE_DEF])
    try:
        answer = await replica.connection.call(
            "GetModelMetadata", request, pb.GetModelMetadataResponse, seconds=seconds
        )
        definitions = pb.SignatureDefMap.FromString(answer.metadata[_SIGNATURE_DEF].value).signature_def
    except aio.AioRpcError as error:
        raise failure_of(error).error from None
    except CallError as failed:
        raise failed.failure.error from None
    except DecodeError:
        raise GatewayError(ErrorKind.BACKEND_FAILED, "its metadata cannot be parsed") from None
    signatures = decode_signatures(definitions)
    if signatures.unservable and not signatures.servable:
        raise GatewayError(ErrorKind.BACKEND_FAILED, none_servable(signatures.unservable))
    if not signatures.servable:
        raise GatewayError(ErrorKind.BACKEND_FAILED, "its metadata have no signature")
    return signatures


async def _versions(replica: Replica, name: str, seconds: float) -> dict[Key, VersionStatus]:
    request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name=name))
    try:
        answer = await replica.connection.call("GetModelStatus", request, pb.GetModelStatusResponse, seconds=seconds)
    except aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return {}
        raise
    newest = sorted(answer.model_version_status, key=lambda status: -status.version)[:_MAX_VERSIONS]
    return {
        (name, status.version): VersionStatus(
            _STATES.get(status.state, State.START), shortened(status.status.error_message)
        )
        for status in newest
        if status.version >= 0
    }


def _probe_error(error: Exception, seconds: float) -> ProbeError:
    if isinstance(error, TimeoutError):
        return ProbeError(f"no answer within {seconds:g} s", silent=True)
    if isinstance(error, aio.AioRpcError):
        silent = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return ProbeError(shortened(f"{error.code().name}: {error.details()}"), silent=silent)
    return ProbeError(str(error), silent=False)
