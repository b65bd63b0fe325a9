"""What the gateway's container is: small, without root's rights, and with nothing in it that may be changed."""

import json
import os
import re
import subprocess
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.compose.system import BUILD_SECONDS, ComposeSystem, engine_missing, image_bytes
from tests.object_store import URL, object_store
from tests.processes import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.timeout(2700)]  # the images may be built, and the models trained
_MAX_BYTES = 250e6
_MAX_IDLE_BYTES = 120e6


def execute(container: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "exec", container, *command], capture_output=True, text=True, check=False)


def inspected(container: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.fixture
def gateway(system: ComposeSystem) -> str:
    return system.containers("gateway")[0]


def test_it_is_small(gateway: str) -> None:
    size = image_bytes(inspected(gateway)["Image"])
    print(f"\nimage of the gateway: {size / 1e6:.1f} MB")  # noqa: T201
    assert size < _MAX_BYTES


def test_it_holds_little_memory(system: ComposeSystem) -> None:
    page = httpx.get(f"{system.rest}/metrics").raise_for_status().text
    [idle] = re.findall(r"^process_resident_memory_bytes (\S+)$", page, re.MULTILINE)
    print(f"\nresident memory of the gateway: {float(idle) / 1e6:.1f} MB")  # noqa: T201
    assert float(idle) < _MAX_IDLE_BYTES


def test_it_says_when_it_was_ready(gateway: str) -> None:
    started = datetime.fromisoformat(inspected(gateway)["State"]["StartedAt"])
    done = subprocess.run(["docker", "logs", "--timestamps", gateway], capture_output=True, text=True, check=True)
    ready = [line.split(" ", 1)[0] for line in done.stdout.splitlines() if "Tensorgate serves" in line]
    assert ready
    seconds = [(datetime.fromisoformat(time) - started).total_seconds() for time in ready]
    print(f"\nthe gateway was ready {max(seconds):.2f} s after its container had started")  # noqa: T201


def test_it_may_change_nothing(gateway: str) -> None:
    assert execute(gateway, "id", "-u").stdout.strip() == "1000"
    for path in ("/file", "/models/file", "/opt/tensorgate/file"):
        assert "Read-only file system" in execute(gateway, "touch", path).stderr
    status = execute(gateway, "cat", "/proc/1/status").stdout
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.MULTILINE)


@pytest.mark.parametrize("module", ["tensorflow", "pip", "setuptools", "opentelemetry", "jwt", "fsspec", "oras"])
def test_it_does_not_have(module: str, gateway: str) -> None:
    done = execute(gateway, "python", "-c", f"import {module}")
    assert f"No module named '{module}'" in done.stderr


def test_it_is_probed_as_it_says(gateway: str) -> None:
    assert inspected(gateway)["State"]["Health"]["Status"] == "healthy"
    assert json.loads(execute(gateway, "tensorgate", "probe").stdout)["status"] == "ready"


def test_bytecode_of_all_that_it_runs_is_in_it(gateway: str) -> None:
    program = (
        "import pathlib, sys, service.app.lifecycle, service.backends.tfserving.backend\n"
        "files = [m.__cached__ for m in sys.modules.values() if '/opt/' in (getattr(m, '__file__', None) or '')"
        " and getattr(m, '__cached__', None) and m.__file__.endswith('.py')]\n"
        "print(len(files) > 100, [file for file in files if not pathlib.Path(file).exists()])"
    )
    assert execute(gateway, "python", "-c", program).stdout.strip() == "True []"


def test_an_image_that_is_built_with_stores_pulls_from_them() -> None:
    if reason := engine_missing():
        pytest.skip(reason)
    image = "tensorgate-stores-test"
    build = ["docker", "build", "--quiet", "--target", "gateway", "--build-arg", "STORES=s3,gcs,azure,oci"]
    subprocess.run([*build, "--tag", image, str(ROOT)], check=True, capture_output=True, timeout=BUILD_SECONDS)
    run = ["docker", "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp"]  # noqa: S108
    every = "import s3fs, gcsfs, adlfs, oras.client"
    subprocess.run([*run, "--entrypoint", "python", image, "-c", every], check=True, timeout=60)
    with object_store() as store:
        store.put("digits", 3, {"saved_model.pb": b"a graph", "variables/variables.index": b"weights"})
        variables = [f"--env={name}" for name in os.environ if name.startswith("AWS_")]
        pull = [*run, *variables, image, "models", "pull", URL, "/tmp/models"]  # noqa: S108
        done = subprocess.run(pull, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "digits" in done.stdout
