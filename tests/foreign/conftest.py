"""Servers as processes, and the clients that others wrote."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests import zoo_models
from tests.foreign.process import Address, ForeignClient, foreign_client
from tests.generic_cases import LIMITS
from tests.processes import ServerProcess, server_process

BORROWED = "borrowed"
"""A model for one test alone, which unloads it."""


@pytest.fixture(scope="session")
def zoos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Address]]:
    """Returns what serves models of every form by the gRPC server of a name; each is started when it is needed."""
    folder, config = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("config") / "models.config"
    listing = zoo_models.save_zoo(folder)
    borrowed = f'config {{ name: "{BORROWED}" base_path: "{folder / "vector"}" }}'
    config.write_text(listing.removesuffix("}") + borrowed + "\n}")
    limits = [word for name, limit in LIMITS.items() for word in (f"--{name.replace('_', '-')}", str(limit))]
    with ExitStack() as servers:

        @cache
        def address(grpc_server: str) -> Address:
            models = ("--models", str(folder), "--model-config-file", str(config))
            server = servers.enter_context(
                server_process(*models, "--allow-model-control", "--grpc-server", grpc_server, *limits)
            )
            server.announcement()
            return Address.of(server)

        yield address


@pytest.fixture(scope="module")
def zoo(zoos: Callable[[str], Address], grpc_server: str) -> Address:
    """Serves models of every form."""
    return zoos(grpc_server)


@pytest.fixture(scope="module")
def defaults(default_servers: Callable[[str], ServerProcess], grpc_server: str) -> Address:
    """Serves the two default models."""
    return Address.of(default_servers(grpc_server))


@pytest.fixture
def borrowed(triton: ForeignClient, zoo: Address) -> Iterator[str]:
    """Names the model that may be unloaded, and has it loaded again afterwards."""
    yield BORROWED
    triton.call(zoo, "grpc", "load_model", model_name=BORROWED)


@pytest.fixture(scope="session")
def triton() -> Iterator[ForeignClient]:
    with foreign_client("triton") as client:
        yield client


@pytest.fixture(scope="session")
def kserve() -> Iterator[ForeignClient]:
    with foreign_client("kserve") as client:
        yield client


@pytest.fixture(scope="session")
def ovmsclient() -> Iterator[ForeignClient]:
    with foreign_client("ovmsclient") as client:
        yield client
