"""A stack on Docker Swarm: deployed, changed as an operator changes it, and taken away again."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.processes import ROOT, free_port
from reliability.asking import MODEL
from reliability.servers import Server, run, until

NAME = "tensorgate-swarm"
FILES = ("deploy/swarm/stack.yml", "deploy/swarm/stack.local.yml", "reliability/swarm_edge.yml")
RELEASES = ("1", "2")
"""Of the gateway's image."""
_IMAGE, _FULL = "tensorgate-swarm-gateway", "tensorgate-swarm-full"
_BRIDGE = "docker_gwbridge"
"""The network that an engine makes when it joins a swarm, and keeps when it leaves."""
_START_SECONDS = 300.0
_LISTING = 'model_config_list {{ config {{ name: "{}" base_path: "/models/{}" model_platform: "tensorflow" }} }}\n'


class DockerError(RuntimeError):
    """A command of Docker's failed; the text is what it said."""


async def docker(*arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Runs a command of Docker's; returns what it wrote.

    Raises:
        DockerError: When it fails.
    """
    before = ["env", *(f"{name}={value}" for name, value in (variables or {}).items())]
    done = await run(*before, "docker", *arguments)
    if done.returncode:
        raise DockerError(f"docker {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout


class Stack:
    """The stack, as it runs.

    Args:
        models: Folder that is mounted at ``/models``.

    Attributes:
        edge: The gateway before the others, which is asked.
        versions: Folder of the model's versions.
    """

    def __init__(self, models: Path) -> None:
        self.versions = models / MODEL
        rest, grpc = free_port(), free_port()
        self.edge = Server([], models / "edge.log", rest=f"127.0.0.1:{rest}", grpc=f"127.0.0.1:{grpc}")
        self._variables = {
            "MODELS": str(models),
            "MODEL": MODEL,
            "TENSORGATE_IMAGE": image(RELEASES[0]),
            "TENSORGATE_FULL_IMAGE": _FULL,
            "EDGE_REST_PORT": str(rest),
            "EDGE_GRPC_PORT": str(grpc),
            "PUBLISHED_REST_PORT": str(free_port()),
            "PUBLISHED_GRPC_PORT": str(free_port()),
        }

    async def deploy(self) -> None:
        """Starts it, and waits until all of it serves."""
        files = [option for file in FILES for option in ("--compose-file", str(ROOT / file))]
        command = ("stack", "deploy", "--detach=true", "--resolve-image", "never", *files, NAME)
        await docker(*command, variables=self._variables)
        await self.whole(gateways=3)

    async def remove(self) -> None:
        """Takes it away, and waits until nothing of it is left."""
        await docker("stack", "rm", NAME)

        async def gone() -> bool:
            left = await docker("ps", "--all", "--quiet", "--filter", f"label=com.docker.stack.namespace={NAME}")
            networks = await docker("network", "ls", "--quiet", "--filter", f"label=com.docker.stack.namespace={NAME}")
            return not left.strip() and not networks.strip()

        await until(gone, "the stack is gone", seconds=_START_SECONDS)

    async def whole(self, *, gateways: int, replicas: int = 2) -> None:
        """Waits until that many tasks are healthy, and the edge is ready and asks that many gateways."""

        async def served() -> bool:
            if await self.healthy("gateway") != gateways or await self.healthy("tfserving") != replicas:
                return False
            return await self.edge.serving_replicas() == gateways and await self.edge.ready()

        await until(served, f"{gateways} gateways and {replicas} model servers serve", seconds=_START_SECONDS)

    async def update(self, service: str, *options: str) -> None:
        """Changes a service, and waits until Swarm has rolled it.

        Raises:
            DockerError: When Swarm has taken the change back.
        """
        await docker("service", "update", "--detach=false", "--quiet", *options, f"{NAME}_{service}")

    async def scale(self, service: str, number: int) -> None:
        """Changes how many tasks a service has."""
        await docker("service", "scale", "--detach=false", f"{NAME}_{service}={number}")

    async def containers(self, service: str) -> list[str]:
        """Returns the containers of the tasks that run, the oldest first."""
        wanted = f"label=com.docker.swarm.service.name={NAME}_{service}"
        return (await docker("ps", "--quiet", "--filter", wanted)).split()[::-1]

    async def healthy(self, service: str) -> int:
        """Returns how many of its containers run and are healthy, 0 while others are there that are not."""
        found = await self.containers(service)
        if not found:
            return 0
        states = [each["State"] for each in json.loads(await docker("inspect", *found))]
        good = sum(state["Status"] == "running" and state["Health"]["Status"] == "healthy" for state in states)
        return good if good == len(states) else 0


def image(release: str) -> str:
    """Returns the name of a release of the gateway's image."""
    return f"{_IMAGE}:{release}"


async def _build() -> None:
    for release in RELEASES:
        options = ("--target", "gateway", "--build-arg", f"VERSION={release}", "--tag", image(release))
        await docker("build", "--quiet", *options, ".")
    await docker("build", "--quiet", "--target", "full", "--tag", _FULL, ".")


@asynccontextmanager
async def swarm() -> AsyncIterator[None]:
    """Makes this machine a swarm of one node while the body runs, unless it is one; builds the images.

    Raises:
        DockerError: When there is no engine.
    """
    was_active = (await docker("info", "--format", "{{.Swarm.LocalNodeState}}")).strip() == "active"
    if not was_active:
        await docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
    try:
        await _build()
        yield
    finally:
        if not was_active:
            await docker("swarm", "leave", "--force")
            await docker("network", "rm", _BRIDGE)
        await docker("image", "rm", "--force", _FULL, *map(image, RELEASES))


def publish_list(models: Path) -> None:
    """Writes the list of models that gateways and model servers follow."""
    (models / "models.config").write_text(_LISTING.format(MODEL, MODEL))


@asynccontextmanager
async def deployed(models: Path) -> AsyncIterator[Stack]:
    """Deploys the stack while the body runs."""
    stack = Stack(models)
    try:
        await stack.deploy()
        yield stack
    finally:
        await asyncio.shield(stack.remove())
