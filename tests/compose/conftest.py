"""The whole system on a real engine, started once: two replicas, two gateways, and a third gateway before those."""

import io
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import numpy as np
import pytest
from docker.models.containers import Container

from tests.compose.steady_load import Array, images
from tests.compose.system import FILES, ComposeSystem, engine_missing
from tests.processes import ROOT, free_port

PROJECT = "tensorgate-test"
_EDGE = "tests/compose/edge.yml"


class WholeSystem(ComposeSystem):
    """The local form with two replicas and two gateways, and a gateway before them.

    Attributes:
        edge_rest: Base URL of that one's REST API.
        edge_grpc: Address of its gRPC API.
    """

    def __init__(self) -> None:
        rest, grpc, edge_rest, edge_grpc = _two_ports(), _two_ports(), free_port(), free_port()
        super().__init__(
            PROJECT,
            {
                "PUBLISHED_REST_PORT": f"{rest}-{rest + 1}",
                "PUBLISHED_GRPC_PORT": f"{grpc}-{grpc + 1}",
                "EDGE_REST_PORT": str(edge_rest),
                "EDGE_GRPC_PORT": str(edge_grpc),
                "DRAIN_DELAY": "2",
            },
            files=(*FILES, _EDGE),
        )
        self.edge_rest = f"http://127.0.0.1:{edge_rest}"
        self.edge_grpc = f"127.0.0.1:{edge_grpc}"

    def engine_containers(self, service: str) -> list[Container]:
        """Returns the containers of a service, as the engine's own client knows them."""
        client = docker.from_env()
        return [client.containers.get(name) for name in self.containers(service)]

    def published(self, container: Container, port: int) -> str:
        """Returns where a container's port is reached from outside."""
        container.reload()
        [binding] = container.ports[f"{port}/tcp"]
        return f"127.0.0.1:{binding['HostPort']}"


def _two_ports() -> int:
    """Returns a free port whose successor is free too."""
    while True:
        first = free_port()
        with socket.socket() as second:
            try:
                second.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
        return first


@pytest.fixture(scope="session")
def system() -> Iterator[WholeSystem]:
    if reason := engine_missing():
        pytest.skip(reason)
    system = WholeSystem()
    try:
        system.build()
        system.up("--scale", "tfserving=2", "--scale", "gateway=2")
        yield system
    finally:
        system.down()


@pytest.fixture(scope="session")
def models(system: WholeSystem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a copy of the models that the system trained."""
    folder = tmp_path_factory.mktemp("trained")
    replica = system.engine_containers("tfserving")[0]
    stream, _ = replica.get_archive("/models")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "models"


@pytest.fixture(scope="session")
def scores(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Array:
    """Returns what the model says of `images` in a process of its own: float32 [50, 10]."""
    folder = tmp_path_factory.mktemp("scores")
    np.savez(folder / "inputs.npz", images=images())
    script = ROOT / "tests" / "compose" / "run_signature.py"
    files = [str(folder / name) for name in ("inputs.npz", "outputs.npz")]
    command = [sys.executable, str(script), str(models / "digits" / "1"), "serving_default", *files]
    subprocess.run(command, check=True, capture_output=True, timeout=200)
    with np.load(folder / "outputs.npz", allow_pickle=True) as outputs:
        found: Array = outputs["scores"]
    return found
