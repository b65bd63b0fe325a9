"""docs/client.md, run as it stands against a server of the two default models; and with nothing else installed."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, ServerProcess

pytestmark = pytest.mark.timeout(900)  # the first test may wait for both default trainings
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "client.md").read_text(), re.MULTILINE | re.DOTALL)
NEEDS_MORE = re.compile(r"import pandas|from PIL")
BASE = ("grpcio", "numpy", "protobuf", "typing_extensions")
"""What `pip install .` installs; the last comes with grpcio."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the client, the packages that it needs, and nothing else to import."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "tensorgate").symlink_to(ROOT / "tensorgate")
    for package in BASE:
        for file in importlib.metadata.files(package) or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(Path(str(file.locate())).resolve())
    return folder


def run(program: str, *options: str, site: Path | None = None) -> str:
    environment = {"PYTHONPATH": str(site or ROOT), "PATH": os.environ["PATH"]}
    command = [sys.executable, *options, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected(program: str) -> list[str]:
    """Returns the lines that comments say are printed: behind a ``print``, and below one."""
    return re.findall(r"(?:^ *|\)  )# (.+)$", program, re.MULTILINE)


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_examples_print_what_they_say(default_server: ServerProcess, alone: Path, block: int) -> None:
    program = BLOCKS[block].replace("127.0.0.1:8001", default_server.grpc)
    # Without site-packages, and without this folder: what is not in the other one is not there.
    isolated = f"import sys; sys.path[:] = [{str(alone)!r}, *(p for p in sys.path if 'lib/python' in p)]\n"
    printed = run(program) if NEEDS_MORE.search(program) else run(isolated + program, "-S", site=alone)
    assert printed.splitlines() == expected(program)
    assert printed


def test_the_client_alone_has_the_stubs_too(alone: Path) -> None:
    program = (
        f"import sys; sys.path[:] = [{str(alone)!r}, *(p for p in sys.path if 'lib/python' in p)]\n"
        "from tensorgate.v1 import tensorgate_pb2 as pb\n"
        "from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub\n"
        "answer = pb.ClassifyStreamResponse()\n"
        "answer.error.code, answer.error.message = 3, 'wrong'\n"
        "print(pb.ClassifyStreamResponse.FromString(answer.SerializeToString()).error.message)\n"
        "print(answer.error.DESCRIPTOR.full_name, 'google.rpc' in sys.modules)\n"
    )
    assert run(program, "-S", site=alone).splitlines() == ["wrong", "google.rpc.Status False"]


def test_it_imports_neither_the_server_nor_what_only_some_have() -> None:
    others = ["service", "training", "tensorflow", "pandas", "PIL", "opentelemetry", "pydantic", "rich"]
    program = f"import sys, tensorgate.client.aio\nprint([name for name in {others} if name in sys.modules])"
    assert run(program).strip() == "[]"


def test_a_command_whose_packages_are_missing_says_what_to_install() -> None:
    program = "import sys\nsys.modules['rich'] = None\nfrom service.commands.main import main\nmain(['models'])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "it comes with the extra server: pip install '.[server]' in a clone of Tensorgate" in done.stderr
