"""The examples for Node.js, run as they stand, and the protos that they load, by themselves."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from tests.foreign.process import environment_folder
from tests.processes import ROOT, ServerProcess

EXAMPLES = ROOT / "examples" / "node"


def node(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs Node.js with the packages of its environment; skips where there are none."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("no Node.js on this machine (Debian: apt-get install nodejs npm)")
    packages = environment_folder("node") / "node_modules"
    return subprocess.run(
        [program, *map(str, arguments)],
        env=os.environ | {"NODE_PATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_grpc_example_classifies_and_shows_the_code_of_an_error(default_server: ServerProcess) -> None:
    script, picture = EXAMPLES / "classify.cjs", ROOT / "examples" / "seven.png"
    done = node(script, picture, "digits", default_server.grpc)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("7\t")
    failed = node(script, picture, "nope", default_server.grpc)
    assert failed.returncode == 1
    assert failed.stderr.startswith("model_not_found: ")


def test_a_typed_client_is_generated_compiled_and_answered(default_server: ServerProcess, tmp_path: Path) -> None:
    packages = environment_folder("node") / "node_modules"
    document = httpx.get(default_server.rest + "/openapi.json").raise_for_status().json()
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    shutil.copy(EXAMPLES / "client.ts", tmp_path)
    (tmp_path / "node_modules").symlink_to(packages)
    generate = packages / "openapi-typescript" / "bin" / "cli.js"
    made = node(generate, tmp_path / "openapi.json", "--output", tmp_path / "api.d.ts")
    assert made.returncode == 0, made.stdout + made.stderr
    options: list[str | Path] = ["--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom"]
    options += ["--skipLibCheck", "--types", "node", "--typeRoots", packages / "@types"]
    compiled = node(packages / "typescript" / "bin" / "tsc", *options, tmp_path / "client.ts")
    assert compiled.returncode == 0, compiled.stdout
    done = node(tmp_path / "client.js", default_server.rest)
    assert (done.returncode, done.stderr) == (0, "")
    *models, forecast = done.stdout.splitlines()
    assert models == ["digits 1", "sunspots 1"]
    assert len([float(value) for value in forecast.split()]) == 3


def test_the_protos_for_clients_compile_by_themselves(tmp_path: Path) -> None:
    python = ROOT / ".venv-protos" / "bin" / "python"
    if not python.exists():
        pytest.skip(".venv-protos is missing: make .venv-protos/.done")
    out = tmp_path / "descriptors"
    options: list[str | Path] = ["--proto_path", ROOT / "protos", "--descriptor_set_out", out, "--include_imports"]
    options += ["tensorgate/v1/tensorgate.proto", "google/rpc/error_details.proto"]
    # Only what comes with the compiler is beside them: google/protobuf.
    subprocess.run([python, "-m", "grpc_tools.protoc", *options], check=True, timeout=60)
    compiled = {file.name: file for file in FileDescriptorSet.FromString(out.read_bytes()).file}
    for real in (status_pb2, error_details_pb2):
        for message in compiled[real.DESCRIPTOR.name].message_type:
            upstream = real.DESCRIPTOR.message_types_by_name[message.name]
            for field in message.field:
                assert upstream.fields_by_name[field.name].number == field.number, field.name
