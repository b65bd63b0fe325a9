"""A gateway in front of replicas that do as they are told, and a client of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from service.app.lifecycle import Server
from service.app.settings import load
from tests.conftest import QUICK
from tests.replicas import Replica


class Gateway:
    """A gateway in front of replicas, and a client of it."""

    def __init__(self, runtime: Server, rest: httpx.AsyncClient) -> None:
        self.runtime = runtime
        self.rest = rest

    async def ask(self, *values: float, path: str = "m", timeout: float = 20) -> tuple[int, Any]:
        """Returns status and body of an inference."""
        response = await self.rest.post(
            f"/v1/models/{path}:predict", json={"instances": list(values)}, headers={"X-Request-Timeout": str(timeout)}
        )
        return response.status_code, response.json()

    async def metrics(self, name: str) -> dict[str, float]:
        """Returns the samples of a metric that are not zero, by their labels."""
        lines = (await self.rest.get("/metrics")).text.splitlines()
        samples = (line.rpartition(" ") for line in lines if line.partition("{")[0].partition(" ")[0] == name)
        return {sample[len(name) :]: float(value) for sample, _, value in samples if float(value)}

    @property
    def pool(self) -> Any:
        """The replicas, as the backend has them."""
        return self.runtime._parts.backend._pool  # type: ignore[attr-defined]

    def states(self) -> list[str]:
        """Returns how the replicas stand, in the order of their addresses."""
        backend: Any = self.runtime._parts.backend
        return [status.state.value for status in sorted(backend.replicas(), key=lambda one: one.name)]

    def versions(self) -> dict[int, str]:
        """Returns the states of the versions in the catalog."""
        catalog = self.runtime.catalog
        return {entry.version: entry.state.value for entry in catalog.versions("m")} if "m" in catalog else {}


@asynccontextmanager
async def gateway(*behind: Replica, ready: bool = True, **settings: Any) -> AsyncIterator[Gateway]:
    options = {
        "backend": "tfserving",
        "tfserving_addresses": ",".join(replica.address for replica in behind),
        "tfserving_models": "m",
        "probe_seconds": 0.05,
        "probe_timeout": 0.5,
    }
    async with Server(load(options | QUICK | settings)) as runtime:
        if ready:
            await asyncio.wait_for(runtime.ready(), 30)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.rest_port}", timeout=40) as rest:
            yield Gateway(runtime, rest)
