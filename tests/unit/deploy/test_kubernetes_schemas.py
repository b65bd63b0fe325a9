"""What kustomize makes of the overlays is what Kubernetes takes, in each of these releases, and what operators take."""

import json
import shutil
import subprocess
import sys
from typing import Any

import kubernetes_validate
import pytest

from tests.kubernetes import FOLDER, OVERLAYS, Manifest, kubectl, of_kind, read, rendered, with_loader
from tests.processes import ROOT

RELEASES = ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36", "1.37"]
"""Those that are maintained, and some before them."""
CUSTOM = {"ClusterServingRuntime", "GRPCRoute", "HTTPRoute", "InferenceService", "PrometheusRule", "ScaledObject"} | {
    "ServiceMonitor"
}
MODELS = {
    "GRPCRoute": "gateway-api/gateway.networking.k8s.io/v1/GRPCRoute",
    "HTTPRoute": "gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
    "PrometheusRule": "prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
    "ScaledObject": "keda/keda.sh/v1alpha1/ScaledObject",
    "ServiceMonitor": "prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
}
"""Where the package `@kubernetes-models` has the schema of a kind."""
NODE = ROOT / ".venv-clients" / "node"
KSERVE = ROOT / ".venv-clients" / "kserve" / "bin" / "python"
HERE = ROOT / "tests" / "unit" / "deploy"


def identity(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_it(overlay: str, release: str) -> None:
    for manifest in with_loader(overlay):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, release, strict=True)


def test_a_mistake_would_be_found() -> None:
    [deployment] = of_kind(rendered("embedded"), "Deployment")
    wrong = json.loads(json.dumps(deployment))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, RELEASES[-1], strict=True)


def test_no_two_resources_have_a_name() -> None:
    for overlay in OVERLAYS:
        names = [identity(manifest) for manifest in with_loader(overlay)]
        assert len(names) == len(set(names))


def complaints(manifests: list[Manifest]) -> Any:
    """Returns what the operators' own schemas say of resources, by kind and name."""
    script = str(HERE / "operators.mjs")
    asked = json.dumps([{"model": MODELS[manifest["kind"]], "manifest": manifest} for manifest in manifests])
    done = subprocess.run(
        ["node", script, str(NODE)], input=asked, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(map(identity, manifests), json.loads(done.stdout), strict=True))


@pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules/@kubernetes-models/keda").exists(),
    reason="the schemas are not installed: make clients does it",
)
def test_operators_take_it() -> None:
    manifests = {identity(each): each for overlay in OVERLAYS for each in of_kind(rendered(overlay), *MODELS)}
    assert {manifest["kind"] for manifest in manifests.values()} == set(MODELS)
    assert complaints(list(manifests.values())) == dict.fromkeys(manifests)
    wrong = [each | {"spec": 7} for each in manifests.values()]
    assert None not in complaints(wrong).values()


@pytest.mark.skipif(not KSERVE.exists(), reason="KServe's package is not installed: make clients does it")
@pytest.mark.parametrize("file", ["serving-runtime.yaml", "inference-service.yaml"])
def test_kserve_takes_it(file: str) -> None:
    [manifest] = read(f"kserve/{file}")
    done = subprocess.run(
        [str(KSERVE), str(HERE / "kserve_fields.py")],
        input=json.dumps([manifest, manifest | {"spec": {"no such field": 1}}]),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], ["spec.no such field"]]


def test_what_is_generated_is_what_its_sources_say() -> None:
    subprocess.run([sys.executable, str(FOLDER / "make.py"), kubectl(), "--check"], check=True)
