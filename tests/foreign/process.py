"""Clients that others wrote, as processes: a script of ours, run by their own interpreter, does what it is told."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.scripts import exchange
from tests.processes import ROOT, ServerProcess
from tests.questions import Question, Said

SCRIPTS = Path(__file__).parent / "scripts"
ENVIRONMENTS = ROOT / ".venv-clients"


@dataclass(eq=False)
class RaisedError(Exception):
    """What a client raised.

    Attributes:
        kind: The name of its class.
        message: Its text.
        status: The status that it carries.
    """

    kind: str
    message: str
    status: Any


@dataclass(frozen=True)
class Address:
    """Where a server is."""

    rest: str
    grpc: str

    @classmethod
    def of(cls, server: ServerProcess) -> "Address":
        return cls(server.rest.removeprefix("http://"), server.grpc)

    def for_client(self, name: str) -> str:
        """Returns the address that a client of that name speaks to."""
        return self.grpc if name.startswith("grpc") else self.rest


class ForeignClient:
    """A running script."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, **order: Any) -> Any:
        """Has the script do something.

        Raises:
            RaisedError: What the client raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(exchange.dump(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the script ended"
        answer = exchange.load(line)
        if "raised" in answer:
            raise RaisedError(answer["raised"], answer["message"], answer["status"])
        return answer["value"]

    def call(self, address: Address, name: str, method: str, **arguments: Any) -> Any:
        """Calls a method of the client of that name."""
        return self.do(do="call", name=name, address=address.for_client(name), method=method, **arguments)

    def ask(self, address: Address, name: str, question: Question, **options: Any) -> Said:
        """Asks for inference."""
        place = {"name": name, "address": address.for_client(name)}
        answer = self.do(do="infer", **place, question=asdict(question), **options)
        assert answer["id"] == "7"
        return Said("ok", answer["outputs"], int(answer["version"] or 0))


@contextmanager
def foreign_client(environment: str) -> Iterator[ForeignClient]:
    """Runs the script of that environment while the body runs; skips where the environment was not made."""
    python = environment_folder(environment) / "bin/python"
    # Its own packages alone: nothing of ours may be what it imports.
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with _running([str(python), "-W", "ignore", str(SCRIPTS / f"speak_{environment}.py")], variables) as client:
        yield client


@contextmanager
def node_client(script: str) -> Iterator[ForeignClient]:
    """Runs a script of JavaScript while the body runs; skips where there is no Node.js, or its packages are not."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js on this machine (Debian: apt-get install nodejs npm)")
    packages = environment_folder("node") / "node_modules"
    with _running([node, str(SCRIPTS / script)], os.environ | {"NODE_PATH": str(packages)}) as client:
        yield client


def environment_folder(environment: str) -> Path:
    """Returns the folder of an environment; skips where it was not made."""
    folder = ENVIRONMENTS / environment
    if not (folder / ".done").exists():
        pytest.skip(f"{folder.relative_to(ROOT)}/.done is missing: make clients")
    return folder


@contextmanager
def _running(command: Sequence[str], variables: Mapping[str, str]) -> Iterator[ForeignClient]:
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            yield ForeignClient(process)
        finally:
            process.kill()
