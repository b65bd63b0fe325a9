"""What serves in the contract tests: the same models in the server's own process, and behind it."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Served, serving, serving_replica


@pytest.fixture(params=["in process", "tfserving"])
async def served(request: pytest.FixtureRequest, grpc_server: str) -> AsyncIterator[Served]:
    if request.param == "in process":
        async with serving(grpc_server=grpc_server) as served:
            yield served
    else:
        async with serving_replica("shades,steps,double", grpc_server=grpc_server) as served:
            yield served
