"""A client that openapi-python-client makes of the OpenAPI document: its types are checked, and it is answered."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx

from tests.foreign.process import environment_folder
from tests.processes import ROOT, ServerProcess


def run(*command: str | Path, folder: Path) -> str:
    """Runs a program of the generator's environment, which has nothing of ours; returns what it prints."""
    programs = environment_folder("openapi") / "bin"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [programs / command[0], *command[1:]],
        cwd=folder,
        env=variables | {"PATH": f"{programs}:{variables['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_python_client_is_generated_checked_and_answered(default_server: ServerProcess, tmp_path: Path) -> None:
    environment_folder("openapi")
    (tmp_path / "openapi.json").write_text(httpx.get(default_server.rest + "/openapi.json").raise_for_status().text)
    shutil.copy(ROOT / "examples" / "python" / "generated.py", tmp_path)
    generate = ["generate", "--path", "openapi.json", "--meta", "none", "--output-path", "generated_client"]
    said = run("openapi-python-client", *generate, folder=tmp_path)
    # Lists in lists of any depth, which tensors are in JSON, are what this generator has no types for.
    lost = {line.rpartition("/")[2] for line in said.splitlines() if line.startswith("Unable to parse schema")}
    assert all(name.startswith(("OpenInference", "TfServing")) for name in lost), said
    run("mypy", "--strict", "--follow-imports=silent", "generated.py", folder=tmp_path)
    lines = run("python", "generated.py", default_server.rest, folder=tmp_path).splitlines()
    assert lines[:2] == ["digits 1", "sunspots 1"]
    assert len([float(value) for value in lines[2].split()]) == 3
    assert lines[3:] == ["invalid_input images[0].pixels | shape [8, 8, 1] | shape [1, 2, 1]"]
