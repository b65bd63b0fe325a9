"""A server of real SavedModels in this process, with real clients, for tests that need TensorFlow itself."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from grpc import aio

from service.app.lifecycle import Server
from service.app.settings import load
from service.backends.tfserving.backend import TfServingBackend
from service.core.model_version import State
from tests.conftest import QUICK, until
from tests.processes import free_port

MODEL_SERVER = "TENSORGATE_TEST_MODEL_SERVER"
"""Variable that names a real ``tensorflow_model_server`` to test with."""
BACKENDS = ("savedmodel", "tfserving", *(["tensorflow_model_server"] if os.environ.get(MODEL_SERVER) else []))
"""This server's own process; another such server, which speaks TensorFlow Serving's protocol; the real thing."""


@dataclass(frozen=True, slots=True)
class RealServer:
    """What serves, and clients of both its transports."""

    runtime: Server
    rest: httpx.AsyncClient
    channel: aio.Channel

    @property
    def behind(self) -> bool:
        """Whether the models are in another server, behind this one."""
        return isinstance(self.runtime._parts.backend, TfServingBackend)


@asynccontextmanager
async def serving_models(models: Path, **settings: Any) -> AsyncIterator[RealServer]:
    """Serves a models folder while the body runs; begins once each version is available or has failed."""
    chosen = load({"models": models} | QUICK | settings)
    async with Server(chosen) as runtime:
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
            seconds=120,
        )
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=20) as rest,
            aio.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel,
        ):
            yield RealServer(runtime, rest, channel)


@asynccontextmanager
async def serving_config(backend: str, config: Path, **settings: Any) -> AsyncIterator[RealServer]:
    """Serves what a model configuration file says while the body runs, on one of `BACKENDS`."""
    models, settings = config.parent, settings | {"model_config_file": config}
    if backend == "savedmodel":
        async with serving_models(models, **settings) as server:
            yield server
    elif backend == "tfserving":
        async with (
            serving_models(models, model_config_file=config) as replica,
            gateway_to(f"127.0.0.1:{replica.runtime.grpc_port}", **settings) as server,
        ):
            yield server
    else:
        async with _model_server(config) as address, gateway_to(address, **settings) as server:
            yield server


def gateway_to(address: str, **settings: Any) -> AbstractAsyncContextManager[RealServer]:
    """Serves what the server at that address does, which speaks TensorFlow Serving's protocol."""
    options = {"backend": "tfserving", "tfserving_addresses": address, "probe_seconds": 0.1}
    return serving_models(Path("no folder"), **options, **settings)


@asynccontextmanager
async def _model_server(config: Path) -> AsyncIterator[str]:
    """Runs the real TensorFlow Serving; yields its gRPC address once it listens, with all models loaded."""
    address = f"127.0.0.1:{(port := free_port())}"
    options = [f"--port={port}", "--rest_api_port=0", f"--model_config_file={config}", "--grpc_max_threads=64"]
    options.append("--enable_grpc_healthcheck_service=true")
    options.append("--allow_version_labels_for_unavailable_models=true")  # else a label stops the start
    process = await asyncio.create_subprocess_exec(os.environ[MODEL_SERVER], *options)
    ended = asyncio.create_task(process.wait())
    try:
        async with aio.insecure_channel(address) as channel:
            ready = asyncio.create_task(channel.channel_ready())
            await asyncio.wait({ready, ended}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            listening = ready.done()
            ready.cancel()
        assert listening, "it does not listen; its log says why"
        yield address
    finally:
        if not ended.done():
            process.kill()
        await ended
