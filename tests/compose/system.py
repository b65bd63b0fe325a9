"""The containers, built and started as an operator does it: ``docker compose`` with the files of this project."""

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.processes import ROOT, free_port

PROMETHEUS_IMAGE = "prom/prometheus:v2.53.3"
BUILD_SECONDS = 1800
START_SECONDS = 900
_COMMAND_SECONDS = 120
FILES = ("docker-compose.yml", "docker-compose.local.yml")
_IMAGES = {"TENSORGATE_IMAGE": "tensorgate-test", "TENSORGATE_FULL_IMAGE": "tensorgate-full-test"}


def engine_missing() -> str:
    """Returns why no container can be run here; empty when they can."""
    if shutil.which("docker") is None:
        return "no docker on this machine"
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "no Docker engine answers on this machine"
    return ""


def image_missing(image: str) -> str:
    """Returns why the image cannot be used; empty when it can."""
    if reason := engine_missing():
        return reason
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False)
    return "" if done.returncode == 0 else f"the image {image} is not on this machine"


class ComposeSystem:
    """The local form of the system, in a project of its own and on free ports.

    Args:
        project: Name of the Compose project.
        variables: Beside those of ``.env``, or in their place.
        files: Of Compose.

    Attributes:
        variables: Likewise, with those that it has by itself.
        rest: Base URL of a gateway's REST API: of the first port, where there is a range of them.
        grpc: Address of a gateway's gRPC API, likewise.
        prometheus: Base URL.
    """

    def __init__(self, project: str, variables: Mapping[str, str] | None = None, files: Sequence[str] = FILES) -> None:
        self._project = project
        self._files = files
        self.variables = {
            **_IMAGES,
            "COMPOSE_PROFILES": "cpu",
            "PUBLISHED_REST_PORT": str(free_port()),
            "PUBLISHED_GRPC_PORT": str(free_port()),
            "PROMETHEUS_PORT": str(free_port()),
            **(variables or {}),
        }
        self.rest = f"http://127.0.0.1:{self._first_port('PUBLISHED_REST_PORT')}"
        self.grpc = f"127.0.0.1:{self._first_port('PUBLISHED_GRPC_PORT')}"
        self.prometheus = f"http://127.0.0.1:{self._first_port('PROMETHEUS_PORT')}"

    def compose(self, *arguments: str, seconds: float = _COMMAND_SECONDS) -> str:
        """Runs ``docker compose`` on this system; returns what it wrote to standard output.

        Raises:
            AssertionError: When it failed, with what it said.
        """
        done = subprocess.run(
            self._command(*arguments),
            cwd=ROOT,
            env=os.environ | self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def build(self) -> None:
        """Builds both images."""
        self.compose("build", seconds=BUILD_SECONDS)

    def publish(self, models: Path) -> None:
        """Copies the models of a folder into the system's volume, as the user that the containers run as."""
        arguments = ["run", "--rm", "--no-TTY", "--no-deps", "--entrypoint", "tar", "train", "-xC", "/models"]
        with subprocess.Popen(
            self._command(*arguments),
            cwd=ROOT,
            env=os.environ | self.variables,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin is not None
            with process.stdin, tarfile.open(fileobj=process.stdin, mode="w|") as archive:
                for model in sorted(models.iterdir()):
                    archive.add(model, model.name)
            assert process.wait(_COMMAND_SECONDS) == 0

    def up(self, *options: str) -> None:
        """Starts everything and waits until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--no-build", *options, seconds=START_SECONDS)

    def down(self) -> None:
        """Stops everything and removes it, volumes too."""
        # Compose removes what belongs to the profiles that are named.
        self.compose("--profile", "*", "down", "--volumes", "--timeout", "5", "--remove-orphans")

    def containers(self, service: str) -> list[str]:
        """Returns the ids of the containers of a service."""
        return self.compose("ps", "--all", "--quiet", service).split()

    def _first_port(self, variable: str) -> str:
        return self.variables[variable].partition("-")[0]

    def _command(self, *arguments: str) -> list[str]:
        files = [option for file in self._files for option in ("--file", file)]
        return ["docker", "compose", "--project-name", self._project, "--progress", "plain", *files, *arguments]


def image_bytes(image: str) -> int:
    """Returns the size of an image, unpacked."""
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=True)
    size: int = json.loads(done.stdout)[0]["Size"]
    return size
