"""Probes: whether a replica answers, whether it takes requests, and what it serves."""

import asyncio
from collections.abc import Iterable

import grpc
from grpc import aio

from service.backends.tfserving.replica import Key, Replica, VersionStatus
from service.core.catalog import State
from service.wire import tensorflow_serving_pb2 as pb

_AT_A_TIME = 16
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


async def probe(replica: Replica, names: Iterable[str], *, seconds: float) -> None:
    """Asks a replica for its health and for the states of these models, and tells it what it said.

    Raises:
        ProbeError: When it did not answer within so many seconds, or said that it cannot.
    """
    places = asyncio.Semaphore(_AT_A_TIME)

    async def versions(name: str) -> dict[Key, VersionStatus]:
        async with places:
            return await _versions(replica, name, seconds=seconds)

    try:
        async with asyncio.timeout(seconds):
            willing = await replica.healthy(seconds=seconds)
            found = await asyncio.gather(*(versions(name) for name in names))
    except TimeoutError:
        raise ProbeError(f"no answer within {seconds:g} s", silent=True) from None
    except aio.AioRpcError as error:
        silent = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        raise ProbeError(f"{error.code().name}: {error.details()}", silent=silent) from None
    replica.answered(willing=willing, versions={key: status for part in found for key, status in part.items()})


async def _versions(replica: Replica, name: str, *, seconds: float) -> dict[Key, VersionStatus]:
    request = pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name=name))
    try:
        answer = await replica.ask("GetModelStatus", request, pb.GetModelStatusResponse, seconds=seconds)
    except aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return {}
        raise
    return {
        (name, status.version): VersionStatus(_STATES.get(status.state, State.START), status.status.error_message)
        for status in answer.model_version_status
    }
