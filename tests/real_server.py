"""A server of real SavedModels in this process, with real clients, for tests that need TensorFlow itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from grpc import aio

from service.core.catalog import State
from service.runtime import Runtime
from service.settings import load
from tests.conftest import until


@dataclass(frozen=True, slots=True)
class RealServer:
    """What serves, and clients of both its transports."""

    runtime: Runtime
    rest: httpx.AsyncClient
    channel: aio.Channel


@asynccontextmanager
async def serving_models(models: Path, **settings: Any) -> AsyncIterator[RealServer]:
    """Serves a models folder while the body runs; begins once each version is available or has failed."""
    chosen = load({"models": models, "rest_port": 0, "grpc_port": 0, "drain_timeout": 5} | settings)
    async with Runtime(chosen) as runtime:
        catalog = runtime.catalog
        await until(
            lambda: (
                bool(catalog.names())
                and all(
                    version.state in {State.AVAILABLE, State.END}
                    for name in catalog.names()
                    for version in catalog.versions(name)
                )
            ),
            seconds=60,
        )
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=20) as rest,
            aio.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel,
        ):
            yield RealServer(runtime, rest, channel)
