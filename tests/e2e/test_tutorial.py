"""docs/tutorial.md, typed as it stands: what its commands print is what it shows, but for figures.

What an installation brings is tried in ``tests/compose`` and by ``test_client_docs.py``; the training's output is held
in ``tests/integration/training``, where one runs anyway; and the containers of the last step are those of
``tests/compose``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format

from tensorgate.v1 import tensorgate_pb2 as pb
from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.processes import ROOT, ServerProcess, server_process
from tests.tutorial import assert_shown, step, steps

pytestmark = pytest.mark.timeout(900)  # the first test may wait for the training of a default model
STEPS = steps()
ASKED = STEPS[STEPS.index(step("tensorgate models")) : STEPS.index(step("docker compose"))]


class Typist:
    """Types what the tutorial says, in a folder that has what a checkout has after its training."""

    def __init__(self, folder: Path, digits: Path) -> None:
        self.folder = folder
        shutil.copytree(digits, folder / "models" / "digits")
        (folder / "examples").symlink_to(ROOT / "examples")
        command = folder / "bin" / "tensorgate"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m service "$@"\n')
        command.chmod(0o755)
        self._environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{command.parent}:{os.environ['PATH']}"}

    def type(self, code: str, server: ServerProcess | None = None) -> str:
        """Runs a block of code, asking that server in place of the default addresses; returns what it prints."""
        environment = self._environment
        if server is not None:
            code = code.replace("http://127.0.0.1:8000", server.rest).replace("127.0.0.1:8001", server.grpc)
            environment = environment | {"TENSORGATE_ADDRESS": server.grpc}
        program = [sys.executable, "-c"] if re.match("import|from", code) else ["bash", "-ec"]
        done = subprocess.run(
            [*program, code],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def typist(tmp_path_factory: pytest.TempPathFactory, default_models: Path) -> Typist:
    typist = Typist(tmp_path_factory.mktemp("checkout"), default_models / "digits")
    code, shown = step("import keras")
    assert_shown(shown, typist.type(code))
    return typist


@pytest.fixture(scope="module")
def server(typist: Typist) -> Iterator[ServerProcess]:
    with server_process("--models", str(typist.folder / "models")) as server:
        assert_shown(step("tensorgate serve")[1], json.loads(server.announcement())["message"])
        yield server


def test_what_is_installed_is_there_to_be_installed() -> None:
    [constraints, extra] = re.findall(r"--constraint (\S+) '\.\[(\w+)\]'", step("python3 -m venv")[0])[0]
    assert (ROOT / constraints).exists()
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    extras = {extra, *re.findall(r"`\.\[(\w+)\]`", text)}
    assert extras == {"embedded", "server", "training"}
    assert extras <= set(
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    )


def test_a_model_is_checked(typist: Typist) -> None:
    code, shown = step("tensorgate check")
    assert_shown(shown.replace("/home/ada/tensorgate", str(typist.folder)), typist.type(code))


def test_what_is_asked_is_answered(typist: Typist, server: ServerProcess) -> None:
    for code, shown in ASKED:
        if code.startswith("grpcurl") and shutil.which("grpcurl") is None:
            printed = by_stub(typist, server, code)
        else:
            printed = typist.type(code, server)
        if shown.startswith("{"):
            printed = json.dumps(json.loads(printed), indent=2)
            shown = json.dumps(json.loads(shown), indent=2)  # noqa: PLW2901  # the same, laid out as the other
        assert_shown(re.sub("[0-9a-f]{32}", "0", shown), re.sub("[0-9a-f]{32}", "0", printed))
        assert "7" in printed or "images[0]" in printed or "tensorgate models" in code or "curl -s" in code


def by_stub(typist: Typist, server: ServerProcess, command: str) -> str:
    """Does what a command of grpcurl would, and prints as it does."""
    message = typist.type(command.replace("grpcurl -plaintext -d", "echo").partition("\\\n")[0])
    with grpc.insecure_channel(server.grpc) as channel:
        stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
        answer = stub.Classify(json_format.Parse(message, pb.ClassifyRequest()), timeout=20)
    return json_format.MessageToJson(answer)


def test_the_page_is_there(server: ServerProcess) -> None:
    assert "<title>Tensorgate" in httpx.get(server.rest + "/").raise_for_status().text


def test_the_last_step_is_what_operators_do() -> None:
    start, copy, listed = step("docker compose")[0].splitlines()
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert start in (ROOT / "README.md").read_text("utf-8")
    assert f"{copy.replace('-C models mine', '-C path/to/models .')}\n{listed}\n" in operations
