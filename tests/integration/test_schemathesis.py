"""REST held against its own OpenAPI document by tools that read nothing else.

They have an environment of their own, which ``make test`` makes.
"""

import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT, ServerProcess, server_process

TOOLS = ROOT / ".venv-clients" / "schemathesis" / "bin"

pytestmark = pytest.mark.skipif(
    not (TOOLS / "schemathesis").exists(), reason="schemathesis is not installed: make clients does it"
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with server_process("--backend", "tests.documented:DocumentedBackend", "--allow-model-control") as server:
        server.announcement()
        yield server


def _run(*command: str | Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_document_is_valid(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"
    with urllib.request.urlopen(server.rest + "/openapi.json") as response:  # noqa: S310  # it is http
        file.write_bytes(response.read())
    _run(TOOLS / "openapi-spec-validator", file)


def test_the_server_does_what_the_document_says(server: ServerProcess) -> None:
    options = ("--no-color", "--continue-on-failure")
    _run(TOOLS / "schemathesis", "run", server.rest + "/openapi.json", *options)
    assert server.process.poll() is None
