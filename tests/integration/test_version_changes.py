"""Versions come, go and change places while every protocol is asked without a pause, on both gRPC servers.

Each answer is wholly of one version, and of one that was to answer at some moment of its request: none is of an older
version than what a request had that was answered before this one began. No request fails that is not to.
"""

import asyncio
import itertools
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from tensorflow_serving.apis import model_service_pb2_grpc

from service.core.model_version import ModelRef
from tests import telling_models
from tests.conftest import until
from tests.length import SECONDS
from tests.real_server import RealServer, gateway_to, serving_models
from tests.telling_models import NAMES
from tests.upstream_stubs import reload_request
from tests.version_clients import CLIENTS, MAX_ROWS, Client, RefusedError
from tests.version_history import History

FACTORS = (2, 3, 5, 7, 11)
_TESTS = 10  # of this file
_LEAST_CHANGES = 2
_PAUSE_SECONDS = min(1.0, SECONDS / 50)
LABEL = "stable"


Histories = dict[str, History]


class Asking:
    """Asks a server by all protocols, over and over."""

    def __init__(self, server: RealServer, histories: Histories) -> None:
        self._server = server
        self._histories = histories
        self._over = asyncio.Event()
        self._answered: Counter[object] = Counter()
        self._askers = 0

    @asynccontextmanager
    async def throughout(self, *labels: str | None) -> AsyncIterator[AsyncIterator[int]]:
        """Asks while the body runs, for each of the labels; yields the numbers of the changes that are to be made."""
        async with asyncio.TaskGroup() as asking:
            for model, clients in CLIENTS.items():
                for client, label in itertools.product(clients, labels):
                    self._askers += 1
                    asking.create_task(self._ask(client, label, self._histories[model]))
            yield self._changes()
            await _until(lambda: _merges(self._server))
            self._over.set()

    async def _ask(self, client: Client, label: str | None, history: History) -> None:
        while not self._over.is_set():
            since = history.now
            try:
                answers = await client(self._server, label)
            except RefusedError as refused:
                answers = [refused.args[0]]
            for told in answers:
                history.check(told, since)
            self._answered[client, label] += 1

    async def _changes(self) -> AsyncIterator[int]:
        """Yields 2, 3, 4 and so on for as long as this test may take; everyone is answered before each of them."""
        end = monotonic() + SECONDS / _TESTS
        for number in itertools.count(2):
            self._answered.clear()
            await asyncio.sleep(_PAUSE_SECONDS)
            await until(lambda: len(self._answered) == self._askers, seconds=60)
            if number > 1 + _LEAST_CHANGES and monotonic() > end:
                return
            yield number


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            pass


async def _merges(server: RealServer) -> bool:
    """Tells whether more requests were run than there were runs."""
    total = 0.0
    for line in (await server.rest.get("/metrics")).text.splitlines():
        sample, _, value = line.rpartition(" ")
        what = sample.partition("{")[0]
        total += float(value) if what == "tensorgate_batch_requests_sum" else 0
        total -= float(value) if what == "tensorgate_batch_requests_count" else 0
    return total > 0


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models with each of the factors, in folders of these names."""
    folder = tmp_path_factory.mktemp("saved")
    for factor in FACTORS:
        telling_models.save(folder / str(factor), factor)
    return folder


def factor_of(number: int) -> int:
    return FACTORS[number % len(FACTORS)]


def histories_of(number: int) -> Histories:
    return {name: History((number, factor_of(number))) for name in NAMES}


def copied(saved: Path, models: Path, number: int) -> None:
    """Puts a version of each model there at once, as the exporter does."""
    for name in NAMES:
        partial = models / name / f".{number}.partial"
        shutil.copytree(saved / str(factor_of(number)) / name, partial)
        partial.rename(models / name / str(number))


async def published(server: RealServer, histories: Histories, saved: Path, models: Path, number: int) -> None:
    """Puts a version of each model there, and waits until it is served."""
    for history in histories.values():
        history.begin((number, factor_of(number)))
    copied(saved, models, number)
    for name, history in histories.items():
        await until(lambda: server.runtime.catalog.resolve(ModelRef(name)).version == number, seconds=60)  # noqa: B023
        history.settle()


@pytest.fixture(params=["h2corn", "grpcio"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Settings of the server; a batch holds less than the largest request."""
    return {"grpc_server": request.param, "max_batch_size": MAX_ROWS // 2, "poll_seconds": 0}


async def test_published_by_files(saved: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    copied(saved, tmp_path, 1)
    histories = histories_of(1)
    options["poll_seconds"] = 0.05
    async with (
        serving_models(tmp_path, **options) as server,
        Asking(server, histories).throughout(None) as changes,
    ):
        async for number in changes:
            await published(server, histories, saved, tmp_path, number)


async def test_published_behind_a_gateway(saved: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """The version before may be gone when the gateway learns of a new one, and has yet to ask what it takes."""
    copied(saved, tmp_path, 1)
    histories = histories_of(1)
    options["tfserving_models"] = ",".join(NAMES)
    async with (
        serving_models(tmp_path, poll_seconds=0.05) as replica,
        gateway_to(f"127.0.0.1:{replica.runtime.grpc_port}", **options) as server,
        Asking(server, histories).throughout(None) as changes,
    ):
        async for number in changes:
            await published(server, histories, saved, tmp_path, number)


async def test_configured_anew(saved: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """Folders, numbers and labels change at once; the same number comes back with other contents, too."""

    def config(number: int) -> str:
        configs = [
            f'config {{ name: "{name}" base_path: "{tmp_path}/{number}/{name}" '
            f'version_labels {{ key: "{LABEL}" value: {1 + number % 2} }} }}'
            for name in NAMES
        ]
        return f"model_config_list {{ {' '.join(configs)} }}"

    for number in range(len(FACTORS)):
        for name in NAMES:
            version = tmp_path / str(number) / name / str(1 + number % 2)
            shutil.copytree(saved / str(FACTORS[number]) / name, version)
    file = tmp_path / "models.config"
    file.write_text(config(1))
    histories = {name: History((2, FACTORS[1])) for name in NAMES}
    async with serving_models(tmp_path, model_config_file=file, **options) as server:
        models: Any = model_service_pb2_grpc.ModelServiceStub(server.channel)
        async with Asking(server, histories).throughout(None, LABEL) as changes:
            async for change in changes:
                number = change % len(FACTORS)
                for history in histories.values():
                    history.begin((1 + number % 2, FACTORS[number]))
                await models.HandleReloadConfigRequest(reload_request(config(number)))
                for history in histories.values():
                    history.settle()


async def test_unloaded_and_loaded_again(saved: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    copied(saved, tmp_path, 1)
    histories = histories_of(1)
    async with (
        serving_models(tmp_path, version_policy="latest:2", **options) as server,
        Asking(server, histories).throughout(None) as changes,
    ):
        async for number in changes:
            for history in histories.values():
                history.begin((number, factor_of(number)))  # to load one model is to look after the others, too
            copied(saved, tmp_path, number)
            for name, history in histories.items():
                history.begin("model_not_found")
                (await server.rest.post(f"/v2/repository/models/{name}/unload")).raise_for_status()
                history.settle()
                history.begin("not_ready", (number, factor_of(number)))
                (await server.rest.post(f"/v2/repository/models/{name}/load")).raise_for_status()
                history.settle()


async def test_a_label_moves(saved: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    versions = range(1, 1 + len(FACTORS))
    for number in versions:
        copied(saved, tmp_path, number)
    histories = histories_of(1)
    async with serving_models(tmp_path, version_policy="all", **options) as server:

        async def put(number: int) -> None:
            for name, history in histories.items():
                history.begin((number, factor_of(number)))
                path = f"/api/v1/models/{name}/labels/{LABEL}"
                (await server.rest.put(path, json={"version": number})).raise_for_status()
                history.settle()

        await put(1)
        async with Asking(server, histories).throughout(LABEL) as changes:
            async for change in changes:
                await put(versions[change % len(versions)])
