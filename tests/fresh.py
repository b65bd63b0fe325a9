"""Servers in processes of their own that start in no time: forked from one that has imported all and served nothing.

So nothing that a server has learnt, wherever it keeps it, is known to the next one.
"""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import httpx
from grpc import aio

from service.app.lifecycle import Server
from service.app.settings import load

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [__name__, "service.transport.grpc.aio", "service.transport.grpc.h2corn_server", "tests.judges"]
)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A server's clients.

    Attributes:
        address: Of its gRPC port.
    """

    rest: httpx.AsyncClient
    channel: aio.Channel
    address: str


@asynccontextmanager
async def fresh_server(**settings: Any) -> AsyncIterator[Fresh]:
    """Starts a server with these settings, and kills it in the end."""
    told, telling = _FORKS.Pipe(duplex=False)
    process = _FORKS.Process(target=_serve, args=(telling, settings), daemon=True)
    process.start()
    telling.close()
    try:
        rest_port, grpc_port = await asyncio.to_thread(told.recv)
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{rest_port}", timeout=60) as rest,
            aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel,
        ):
            yield Fresh(rest, channel, f"127.0.0.1:{grpc_port}")
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        told.close()


def _serve(telling: Connection, settings: dict[str, Any]) -> None:
    asyncio.run(_served(telling, settings))


async def _served(telling: Connection, settings: dict[str, Any]) -> None:
    async with Server(load({"rest_port": 0, "grpc_port": 0, "allow_model_control": True, **settings})) as server:
        await server.ready()
        telling.send((server.rest_port, server.grpc_port))
        await asyncio.Event().wait()
