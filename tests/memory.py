"""Servers with room in memory for some of their models: four that are alike, a, b, c and d."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from service.backends.savedmodel.folder import version_in
from service.core.model_version import ModelRef, ModelVersion, State
from tests.real_server import RealServer, serving_models

NAMES = ("a", "b", "c", "d")
SERIES: dict[str, Any] = {"series": [[0, 0, 0, 0, 0, 0]], "horizon": 1}
STANDBY, AVAILABLE = State.STANDBY, State.AVAILABLE


def size_of(*folders: Path) -> int:
    """Returns the bytes that versions are taken to need."""
    found = [version_in(folder) for folder in folders]
    return sum(each.memory_bytes for each in found if each is not None)


@asynccontextmanager
async def bounded(models: Path, *, room: float, **settings: Any) -> AsyncIterator[RealServer]:
    """Serves the models with room in memory for so many of them."""
    size = int(room * size_of(models / "a" / "1"))
    async with serving_models(models, max_loaded_bytes=size, **{"poll_seconds": 0} | settings) as server:
        yield server


def entry(server: RealServer, name: str) -> ModelVersion:
    return server.runtime.catalog.find(ModelRef(name))


def states(server: RealServer, names: Iterable[str] = NAMES) -> list[State]:
    return [entry(server, name).told_state for name in names]


async def forecast(server: RealServer, name: str, **fields: Any) -> httpx.Response:
    return await server.rest.post(f"/api/v1/models/{name}/forecast", json=SERIES | fields)


async def answered(server: RealServer, *names: str) -> None:
    """Asks models one after the other, and looks at their answers."""
    for name in names:
        answer = await forecast(server, name)
        assert answer.status_code == 200, answer.text
        assert answer.json()["forecasts"][0]["values"] == [1.0]


async def samples(server: RealServer, name: str) -> dict[str, float]:
    """Returns the samples of a metric by the name of the model, where they have one."""
    lines = (await server.rest.get("/metrics")).text.splitlines()
    found = (line.rpartition(" ") for line in lines if line.partition("{")[0].partition(" ")[0] == name)
    return {sample.partition('model_name="')[2].partition('"')[0]: float(value) for sample, _, value in found}
