"""Faults of containers, made with the engine: what breaks, and how it is mended."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import docker
from docker.models.containers import Container

_HOG = (
    # The kernel ends the process with the highest score first: that is to be the server, not this one.
    "import os, pathlib\n"
    "for folder in pathlib.Path('/proc').glob('[0-9]*'):\n"
    "    try:\n"
    "        if folder.name != str(os.getpid()) and b'serve' in (folder / 'cmdline').read_bytes():\n"
    "            (folder / 'oom_score_adj').write_text('1000')\n"
    "    except OSError:\n"
    "        pass\n"
    "held = []\n"
    "while True:\n"
    "    held.append(bytearray(b'x' * 2**26))\n"
)
_SMALL, _USUAL = "1536m", "4g"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault.

    Attributes:
        name: As the table of failures has it.
        make: Breaks a container.
        mend: Brings it back.
    """

    name: str
    make: Callable[[Container], None]
    mend: Callable[[Container], None]


def _fill_memory(container: Container) -> None:
    before = _restarts(container)
    container.client.api.update_container(container.id, mem_limit=_SMALL, memswap_limit=_SMALL)
    container.exec_run(["python", "-c", _HOG], detach=True)
    deadline = time.monotonic() + 60
    while _restarts(container) == before:
        assert time.monotonic() < deadline, "the container outlived its memory limit"
        time.sleep(0.1)


def _give_memory_back(container: Container) -> None:
    container.client.api.update_container(container.id, mem_limit=_USUAL, memswap_limit=_USUAL)


def _restarts(container: Container) -> int:
    container.reload()
    restarts: int = container.attrs["RestartCount"]
    return restarts


def _cut_off(container: Container) -> None:
    for network in _networks(container):
        network.disconnect(container)


def _connect_again(container: Container) -> None:
    service = container.labels["com.docker.compose.service"]
    client = docker.from_env()
    project = container.labels["com.docker.compose.project"]
    client.networks.get(f"{project}_backend").connect(container, aliases=[service])


def _networks(container: Container) -> list[docker.models.networks.Network]:
    container.reload()
    return [container.client.networks.get(name) for name in container.attrs["NetworkSettings"]["Networks"]]


def _nothing(container: Container) -> None:
    """It comes back by itself."""


FAULTS = (
    Fault("killed (SIGKILL)", lambda container: container.kill(), lambda container: container.start()),
    Fault("paused (hangs)", lambda container: container.pause(), lambda container: container.unpause()),
    Fault("cut off the network", _cut_off, _connect_again),
    Fault("restarted (SIGTERM)", lambda container: container.restart(timeout=30), _nothing),
    Fault("out of memory", _fill_memory, _give_memory_back),
)
