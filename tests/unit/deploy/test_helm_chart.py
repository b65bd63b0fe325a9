"""The chart says what the overlays say: what Helm makes of it is what kustomize makes of them."""

import json
import re
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from tests.kubernetes import OVERLAYS, Manifest, helm, named, of_kind, of_pod, rendered
from tests.processes import ROOT

CHART = ROOT / "deploy" / "helm" / "tensorgate"
FORMS = [overlay for overlay in OVERLAYS if overlay != "quick-start"]
HASHED = re.compile(r"\b(tensorgate|tfserving)-[a-z0-9]{10}\b")
"""The name that kustomize gives a ConfigMap, with the hash of what is in it."""


@cache
def templated(*values: str) -> list[Manifest]:
    """Returns what Helm makes of the chart with these values, in JSON where that is what follows the first `=`."""
    options = [
        option for value in values for option in ("--set-json" if "={" in value or "=[" in value else "--set", value)
    ]
    command = [helm(), "template", "any-name", str(CHART), "--namespace", "tensorgate", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def by_name(manifests: list[Manifest]) -> dict[str, Any]:
    """Returns resources by kind and name, without what is meant to differ."""
    plain: list[Manifest] = json.loads(HASHED.sub(r"\1", json.dumps(manifests)))
    for manifest in of_kind(plain, "Deployment"):
        manifest["spec"]["template"]["metadata"].get("annotations", {}).pop("checksum/settings", None)
    return {f"{manifest['kind']} {manifest['metadata']['name']}": manifest for manifest in plain}


@pytest.mark.parametrize("form", FORMS)
def test_it_says_what_the_overlay_says(form: str) -> None:
    by = "keda" if form.endswith("gpu") else "hpa"
    made = templated(f"form={form}", f"autoscaling.by={by}", "monitoring=true", "routes.enabled=true")
    expected = by_name(rendered(form))
    assert by_name(made) == expected


def test_the_least_of_it() -> None:
    kinds = {manifest["kind"] for manifest in templated("models.create=false")}
    assert kinds == {
        *("ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount"),
    }
    assert named(templated(), "Deployment", "tensorgate")["spec"]["replicas"] == 3


def test_values_take_the_place_of_what_stands_there() -> None:
    made = templated(
        *("form=tensorflow-serving", "images.gateway=here/gateway:1", "images.tensorflowServing=here/serving:2"),
        *("replicas.gateway=5", "replicas.tensorflowServing=4", "models.size=1Ti", "models.accessMode=ReadOnlyMany"),
        "models.storageClassName=nfs",
    )
    gateway, replicas = (named(made, "Deployment", name) for name in ("tensorgate", "tensorflow-serving"))
    assert [each["spec"]["replicas"] for each in (gateway, replicas)] == [5, 4]
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in (gateway, replicas)]
    assert images == ["here/gateway:1", "here/serving:2"]
    claim = named(made, "PersistentVolumeClaim", "tensorgate-models")["spec"]
    assert (claim["accessModes"], claim["resources"]["requests"]["storage"]) == (["ReadOnlyMany"], "1Ti")
    assert claim["storageClassName"] == "nfs"
    assert "storageClassName" not in named(templated(), "PersistentVolumeClaim", "tensorgate-models")["spec"]


def pod_of(manifests: list[Manifest], name: str) -> Manifest:
    spec: Manifest = named(manifests, "Deployment", name)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("form", FORMS)
def test_pods_run_where_they_are_to_and_may_take_what_they_are_to(form: str) -> None:
    values: dict[str, Any] = {
        "resources": {"limits": {"memory": "3Gi"}},
        "nodeSelector": {"pool": "one"},
        "tolerations": [{"key": "mine", "operator": "Exists"}],
    }
    plain = templated(f"form={form}")
    for of, name in (("gateway", "gateway"), ("tensorflowServing", "tfserving")):
        made = templated(f"form={form}", *(f"{key}.{of}={json.dumps(value)}" for key, value in values.items()))
        for deployment in of_kind(made, "Deployment"):
            before, pod = (pod_of(each, deployment["metadata"]["name"]) for each in (plain, made))
            mine = pod["containers"][0]["name"] == name
            assert pod.get("nodeSelector") == (values["nodeSelector"] if mine else None)
            assert pod.get("tolerations", []) == [*values["tolerations"] * mine, *before.get("tolerations", ())]
            for old, new in zip(of_pod({"spec": before}), of_pod({"spec": pod}), strict=True):
                limits = old["resources"]["limits"] | ({"memory": "3Gi"} if new["name"] == name else {})
                assert new["resources"] == old["resources"] | {"limits": limits}


def test_all_pods_pull_images_with_the_secrets() -> None:
    secrets, role = [{"name": "registry"}], {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/models"}
    made = templated(f"imagePullSecrets={json.dumps(secrets)}", f"serviceAccountAnnotations={json.dumps(role)}")
    account = named(made, "ServiceAccount", "tensorgate")
    assert (account["imagePullSecrets"], account["metadata"]["annotations"]) == (secrets, role)
    assert pod_of(made, "tensorgate")["serviceAccountName"] == "tensorgate"


@pytest.mark.parametrize("form", FORMS)
def test_gateways_are_given_secrets_and_files_beside_what_they_have(form: str) -> None:
    source = {"secretRef": {"name": "store"}}
    volume, mount = {"name": "keys", "secret": {"secretName": "keys"}}, {"name": "keys", "mountPath": "/keys"}
    extra = {"extraEnvFrom": [source], "extraVolumes": [volume], "extraVolumeMounts": [mount]}
    made = templated(f"form={form}", *(f"{name}={json.dumps(value)}" for name, value in extra.items()))
    before, pod = (pod_of(each, "tensorgate") for each in (templated(f"form={form}"), made))
    [old], [new] = before["containers"], pod["containers"]
    assert new["envFrom"] == [*old["envFrom"], source], "the last one counts"
    assert new["volumeMounts"] == [mount, *old["volumeMounts"]]
    assert pod["volumes"] == [volume, *before["volumes"]]
    assert pod.get("initContainers") == before.get("initContainers")


def test_a_setting_goes_over_the_charts_own_and_rolls_the_gateways() -> None:
    changed = templated("settings.TENSORGATE_DRAIN_DELAY=20s", "settings.TENSORGATE_LOG_LEVEL=debug")
    before, after = (named(each, "ConfigMap", "tensorgate")["data"] for each in (templated(), changed))
    assert after == before | {"TENSORGATE_DRAIN_DELAY": "20s", "TENSORGATE_LOG_LEVEL": "debug"}
    sums = [
        named(each, "Deployment", "tensorgate")["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
        for each in (templated(), changed)
    ]
    assert sums[0] != sums[1]


def test_each_value_is_used() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    text = "".join(file.read_text("utf-8") for file in (CHART / "templates").iterdir())
    used = set(re.findall(r"\.Values\.([\w.]+)", text))

    def paths(value: Any, place: str = "") -> list[str]:
        if not isinstance(value, dict) or not value:
            return [place]
        return [path for key, inner in value.items() for path in paths(inner, f"{place}.{key}".lstrip("."))]

    assert set(paths(values)) == used


def test_its_release_is_that_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert project is not None
    assert chart["version"] == chart["appVersion"] == project[1]
