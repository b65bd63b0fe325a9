"""Probes: whether a replica answers, whether it takes requests, and what it serves."""

import asyncio
from collections.abc import Collection, Iterable, Mapping

import grpc
from grpc import aio

from service.backends.reasons import shortened
from service.backends.tfserving.connection import CallError
from service.backends.tfserving.replica import Key, Replica, VersionStatus
from service.core.catalog import State
from service.wire import tensorflow_serving_pb2 as pb

_AT_A_TIME = 2
"""Questions to one replica: each takes one of the threads that it has for inference."""
_MOST_VERSIONS = 1000
"""Of one model that are looked at, the newest first; a replica never forgets those that it had."""
_STATES = {
    pb.ModelVersionStatus.START: State.START,
    pb.ModelVersionStatus.LOADING: State.LOADING,
    pb.ModelVersionStatus.AVAILABLE: State.AVAILABLE,
    pb.ModelVersionStatus.UNLOADING: State.UNLOADING,
    pb.ModelVersionStatus.END: State.END,
}


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
    """Asks a replica for its health, and tells it what it said; one without a health service, for a model.

    One that has no room for the question is alive, and busy: what it said before holds.

    Raises:
        ProbeError: When it did not answer within so many seconds, or said that it cannot.
    """
    try:
        async with asyncio.timeout(seconds):
            willing = await replica.connection.healthy(seconds=seconds)
            if willing is None:
                await _versions(replica, next(iter(names), ""), seconds)
                willing = True
    except (TimeoutError, aio.AioRpcError, CallError) as error:
        if isinstance(error, aio.AioRpcError) and error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return
        raise _probe_error(error, seconds) from None
    replica.answered(willing=willing)


async def probe_versions(replica: Replica, names: Iterable[str], *, seconds: float) -> None:
    """Asks a replica for the states of these models, and tells it what it said; what it did not answer stays as it was.

    Args:
        replica: One that answers.
        names: Of the models.
        seconds: For each of them.
    """
    places = asyncio.Semaphore(_AT_A_TIME)
    known: dict[str, dict[Key, VersionStatus]] = {}
    for key, status in replica.versions.items():
        known.setdefault(key[0], {})[key] = status

    async def versions(name: str) -> Mapping[Key, VersionStatus]:
        async with places:
            try:
                async with asyncio.timeout(seconds):
                    return await _versions(replica, name, seconds)
            except (TimeoutError, aio.AioRpcError, CallError):
                return known.get(name, {})

    found = await asyncio.gather(*(versions(name) for name in names))
    replica.tells({key: status for part in found for key, status in part.items()})


async def _versions(replica: Replica, name: str, seconds: float) -> dict[Key, VersionStatus]:
    request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name=name))
    try:
        answer = await replica.connection.ask("GetModelStatus", request, pb.GetModelStatusResponse, seconds=seconds)
    except aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return {}
        raise
    newest = sorted(answer.model_version_status, key=lambda status: -status.version)[:_MOST_VERSIONS]
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
