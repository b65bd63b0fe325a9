"""Servers and clients that most tests need; and what a new user has after ``make run``."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
import hypothesis
import pytest
from grpc import aio

from service.app.lifecycle import Server
from service.app.settings import load
from service.core.model_version import State
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.fakes import FakeBackend
from tests.processes import ROOT, ServerProcess, server_process

TRAINING_SECONDS = 300
QUICK = {"rest_port": 0, "grpc_port": 0, "drain_timeout": 5, "allow_model_control": True}
"""Settings of a server that lives for a test or some: on free ports, and what it serves may be changed."""
GRPC_SERVERS = ("h2corn", "grpcio")
_OVER_REST = re.compile(r"rest|http|\bv[12]\b", re.IGNORECASE)
"""What clients of REST are called, where a test is told by which to ask."""

Result = TypeVar("Result")

# How fast the machine is, is no matter of tests.
hypothesis.settings.register_profile(
    "tensorgate", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tensorgate")


class Served:
    """A server on free ports with the fake backend, and real clients of both its transports.

    Attributes:
        behind: Whether the fake backend is in another server, behind this one.
    """

    def __init__(self, runtime: Server, backend: FakeBackend, rest: httpx.AsyncClient, channel: aio.Channel) -> None:
        self.grpc_server = runtime._settings.grpc_server
        self.behind = not isinstance(runtime._parts.backend, FakeBackend)
        self.runtime = runtime
        self.backend = backend
        self.rest = rest
        self.channel = channel
        self.stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]

    async def metric(self, name: str, **labels: str) -> float:
        """Returns a sample of ``/metrics``, 0 when there is none; labels that are not named may be anything."""
        text = (await self.rest.get("/metrics")).text
        total = 0.0
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{key}="{label}"' in sample for key, label in labels.items()):
                total += float(value)
        return total


async def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Waits for something that happens in another task soon.

    Raises:
        TimeoutError: When it does not.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for is no event
            await asyncio.sleep(0.01)


async def too_late(served: "Served", ask: Callable[[float], Awaitable[Result]]) -> tuple[Result, float]:
    """Asks what the gate holds up with ever more seconds to answer it in, until they suffice to begin a run.

    Returns:
        What was answered to the first that was begun, and the seconds that it had.
    """
    before = served.backend.runs
    for seconds in (0.05, 0.3, 2, 15):
        answer = await ask(seconds)
        if served.backend.runs > before:
            return answer, seconds
    raise AssertionError("no request was begun")


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    """Serves the fake backend with these settings while the body runs."""
    chosen = load({"backend": "tests.fakes:FakeBackend"} | QUICK | settings)
    async with Server(chosen) as runtime:
        await runtime.ready()
        backend = runtime._parts.backend
        assert isinstance(backend, FakeBackend)
        address = f"127.0.0.1:{runtime.grpc_port}"
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=20) as rest,
            aio.insecure_channel(address) as channel,
        ):
            yield Served(runtime, backend, rest, channel)


@asynccontextmanager
async def serving_replica(models: str, **settings: Any) -> AsyncIterator[Served]:
    """Serves the fake backend from behind: a gateway in front of a server that speaks TensorFlow Serving's protocol.

    Args:
        models: Names of the models that the gateway is to ask for.
        settings: Of the gateway; but for those of models, which are the other's.
    """
    of_models = {name: settings.pop(name) for name in ("backend", "model_config_file") if name in settings}
    behind = load({"backend": "tests.fakes:FakeBackend"} | QUICK | of_models)
    async with Server(behind) as replica:
        backend = replica._parts.backend
        assert isinstance(backend, FakeBackend)
        front = load(
            {
                "backend": "tfserving",
                "tfserving_addresses": f"127.0.0.1:{replica.grpc_port}",
                "tfserving_models": models,
                "probe_seconds": 0.1,
            }
            | QUICK
            | settings
        )
        async with Server(front) as runtime:
            await runtime.ready()
            await until(lambda: not _loads(runtime))  # ready it is with the newest version of each model
            async with (
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=20) as rest,
                aio.insecure_channel(f"127.0.0.1:{runtime.grpc_port}") as channel,
            ):
                yield Served(runtime, backend, rest, channel)


def _loads(runtime: Server) -> bool:
    catalog = runtime.catalog
    return any(entry.state is State.LOADING for name in catalog.names() for entry in catalog.versions(name))


@pytest.fixture(scope="module", params=GRPC_SERVERS)
def grpc_server(request: pytest.FixtureRequest) -> str:
    """Names the server of the gRPC port: whatever depends on this is tested with each of them."""
    return str(request.param)


@pytest.fixture
def with_grpc_server(grpc_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes it that of the servers that the test starts by itself."""
    monkeypatch.setenv("TENSORGATE_GRPC_SERVER", grpc_server)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what goes over REST alone, but for the first gRPC server: with the others it is the same."""
    again = [item for item in items if isinstance(item, pytest.Function) and _is_again_over_rest(item)]
    config.hook.pytest_deselected(items=again)
    left_out = set(again)
    items[:] = [item for item in items if item not in left_out]


def _is_again_over_rest(item: pytest.Function) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if params.get("grpc_server", GRPC_SERVERS[0]) == GRPC_SERVERS[0]:
        return False
    by = [str(params[name]) for name in ("transport", "speaker", "way", "name") if name in params]
    return item.get_closest_marker("over_rest") is not None or any(map(_OVER_REST.search, by))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


@pytest.fixture(scope="session")
def default_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains both default models; or takes the folder that TENSORGATE_TEST_MODELS names, to save that time."""
    if given := os.environ.get("TENSORGATE_TEST_MODELS"):
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("models")
    for family in ("classifier", "forecaster"):
        command = [sys.executable, "-m", "service", "train", family, "--models", str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TRAINING_SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def default_servers(default_models: Path) -> Iterator[Callable[[str], ServerProcess]]:
    """Returns what serves the two default models by the gRPC server of a name; each is started when it is needed."""
    with ExitStack() as servers:

        @cache
        def server(grpc_server: str) -> ServerProcess:
            arguments = ("--models", str(default_models), "--allow-model-control", "--grpc-server", grpc_server)
            started = servers.enter_context(server_process(*arguments))
            servers.callback(lambda: _assert_ends_well(started))
            assert "Tensorgate serves digits, sunspots" in started.announcement()
            return started

        yield server


def _assert_ends_well(server: ServerProcess) -> None:
    assert server.stop() == 0
    for line in server.lines:  # those of TensorFlow's C++ too
        json.loads(line)


@pytest.fixture(scope="session")
def default_server(default_servers: Callable[[str], ServerProcess]) -> ServerProcess:
    return default_servers(os.environ.get("TENSORGATE_GRPC_SERVER", GRPC_SERVERS[0]))
