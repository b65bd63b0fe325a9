"""The chart says what the overlays say: what Helm makes of it is what kustomize makes of them."""

import json
import re
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from tests.kubernetes import OVERLAYS, Manifest, helm, named, of_kind, rendered
from tests.processes import ROOT

CHART = ROOT / "deploy" / "helm" / "tensorgate"
FORMS = [overlay for overlay in OVERLAYS if overlay != "quick-start"]
HASHED = re.compile(r"\b(tensorgate|tfserving)-[a-z0-9]{10}\b")
"""The name that kustomize gives a ConfigMap, with the hash of what is in it."""


@cache
def templated(*values: str) -> list[Manifest]:
    """Returns what Helm makes of the chart with these values."""
    options = [option for value in values for option in ("--set", value)]
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
    )
    gateway, replicas = (named(made, "Deployment", name) for name in ("tensorgate", "tensorflow-serving"))
    assert [each["spec"]["replicas"] for each in (gateway, replicas)] == [5, 4]
    images = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in (gateway, replicas)]
    assert images == ["here/gateway:1", "here/serving:2"]
    claim = named(made, "PersistentVolumeClaim", "tensorgate-models")["spec"]
    assert (claim["accessModes"], claim["resources"]["requests"]["storage"]) == (["ReadOnlyMany"], "1Ti")


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
