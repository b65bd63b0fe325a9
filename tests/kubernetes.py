"""The manifests of Kubernetes, as kustomize makes them: what is looked at by tests is what a cluster would be given."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = sorted(folder.name for folder in (FOLDER / "overlays").iterdir())
Manifest = dict[str, Any]


def kubectl() -> str:
    """Returns the program of which kustomize is part."""
    return _program("kubectl")


def helm() -> str:
    """Returns the program that renders the chart."""
    return _program("helm")


def _program(name: str) -> str:
    """Returns a program that `make` has installed, or else this machine's own; skips the test where there is none."""
    found = shutil.which(name, path=str(ROOT / ".venv-kubernetes" / "bin")) or shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


@cache
def rendered(overlay: str) -> list[Manifest]:
    """Returns the resources of an overlay."""
    return made(FOLDER / "overlays" / overlay)


def made(folder: Path) -> list[Manifest]:
    """Returns what kustomize makes of a folder."""
    command = [kubectl(), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "it warns"
    return list(yaml.safe_load_all(done.stdout))


def read(file: str) -> list[Manifest]:
    """Returns the resources in a file below the folder."""
    return list(yaml.safe_load_all((FOLDER / file).read_text("utf-8")))


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    """Returns those of certain kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """Returns the one resource of a kind and a name."""
    [found] = [manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name]
    return found


def with_loader(overlay: str) -> list[Manifest]:
    """Returns the resources of an overlay, and those that are beside them while models are put onto the volume."""
    return rendered(overlay) + read("loader.yaml")


def pods(manifests: list[Manifest]) -> list[tuple[str, Manifest]]:
    """Returns the pods that will be, as the templates of who makes them, with the names of those."""
    made_by = of_kind(manifests, "Deployment", "Job")
    found = [(workload["metadata"]["name"], workload["spec"]["template"]) for workload in made_by]
    return found + [(pod["metadata"]["name"], pod) for pod in of_kind(manifests, "Pod")]


def of_pod(pod: Manifest) -> list[Manifest]:
    """Returns the containers of a pod, with those that are started before the others and go on beside them."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def containers(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yields the containers of all pods, with the names of who makes those."""
    for name, pod in pods(manifests):
        for container in of_pod(pod):
            yield name, container


def settings(manifests: list[Manifest], container: Manifest) -> dict[str, str]:
    """Returns the variables that a container is given."""
    variables = {variable["name"]: variable["value"] for variable in container.get("env", ())}
    for source in container.get("envFrom", ()):
        variables |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    return variables
