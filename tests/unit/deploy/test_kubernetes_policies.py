"""Rules that every overlay keeps, as tools such as kube-score and the pod security standards have them."""

from typing import Any

import pytest

from tests.kubernetes import OVERLAYS, Manifest, containers, named, of_kind, of_pod, rendered, settings, with_loader
from tests.kubernetes import pods as pods_of

pytestmark = pytest.mark.parametrize("overlay", OVERLAYS)
_SECONDS_FOR_THE_END = 15
"""After both parts of the drain: the request log and the last spans have five seconds each."""


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def pods(overlay: str) -> list[Manifest]:
    return [pod for _, pod in pods_of(with_loader(overlay))]


def test_pods_have_no_rights(overlay: str) -> None:
    for pod in pods(overlay):
        spec = pod["spec"]
        assert spec["serviceAccountName"] == "tensorgate"
        assert spec["automountServiceAccountToken"] is False
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == 1000
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    account = named(rendered(overlay), "ServiceAccount", "tensorgate")
    assert account["automountServiceAccountToken"] is False
    assert not of_kind(rendered(overlay), "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def test_containers_have_no_rights(overlay: str) -> None:
    for name, container in containers(with_loader(overlay)):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_containers_are_held_short_but_not_slowed_down(overlay: str) -> None:
    for name, container in containers(with_loader(overlay)):
        requests, limits = (container["resources"][part] for part in ("requests", "limits"))
        assert {"cpu", "memory", "ephemeral-storage"} <= set(requests), name
        assert {"memory", "ephemeral-storage"} <= set(limits), name
        assert "cpu" not in limits, name


def test_images_have_a_release(overlay: str) -> None:
    for name, container in containers(with_loader(overlay)):
        image, _, tag = container["image"].rpartition(":")
        assert (image and tag != "latest") or overlay == "quick-start", f"{name}: {container['image']}"
        assert container["imagePullPolicy"] == "IfNotPresent"


def test_what_is_written_goes_to_places_that_are_bounded(overlay: str) -> None:
    for pod in pods(overlay):
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in of_pod(pod):
            for mount in container["volumeMounts"]:
                volume = volumes[mount["name"]]
                if not mount.get("readOnly") and container["name"] not in {"train", "loader"}:
                    assert volume["emptyDir"]["sizeLimit"], mount


def test_no_variable_of_a_service_looks_like_a_setting(overlay: str) -> None:
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods(overlay))


def test_labels_select_what_they_should_and_nothing_else(overlay: str) -> None:
    manifests = with_loader(overlay)
    labels = [pod["metadata"]["labels"] for pod in pods(overlay)]
    selectors = [(each, each["spec"]["selector"]) for each in of_kind(manifests, "Service")]
    kinds = ("Deployment", "PodDisruptionBudget")
    selectors += [(each, each["spec"]["selector"]["matchLabels"]) for each in of_kind(manifests, *kinds)]
    selectors += [(each, each["spec"]["podSelector"]["matchLabels"]) for each in of_kind(manifests, "NetworkPolicy")]
    for manifest, selector in selectors:
        assert sum(matches(selector, each) for each in labels) == 1, manifest["metadata"]["name"]
    for pod in pods(overlay):
        for constraint in pod["spec"].get("topologySpreadConstraints", ()):
            assert matches(constraint["labelSelector"]["matchLabels"], pod["metadata"]["labels"])
    services = [each["metadata"]["labels"] for each in of_kind(manifests, "Service")]
    for monitor in of_kind(manifests, "ServiceMonitor"):
        found = [each for each in services if matches(monitor["spec"]["selector"]["matchLabels"], each)]
        job = monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        expected = any(container["name"] == job for _, container in containers(manifests))
        assert len(found) == expected, "each pod is scraped once"


def test_every_pod_has_a_network_policy_both_ways(overlay: str) -> None:
    policies = of_kind(with_loader(overlay), "NetworkPolicy")
    for pod in pods(overlay):
        [policy] = [
            each for each in policies if matches(each["spec"]["podSelector"]["matchLabels"], pod["metadata"]["labels"])
        ]
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for way in policy["spec"]["egress"]:
            assert "ports" in way
            assert "to" in way or {port["port"] for port in way["ports"]} == {53}, "DNS alone has no address"


def test_what_serves_is_spread_and_evicted_one_by_one(overlay: str) -> None:
    budgets = of_kind(rendered(overlay), "PodDisruptionBudget")
    for deployment in of_kind(rendered(overlay), "Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        [budget] = [each for each in budgets if matches(each["spec"]["selector"]["matchLabels"], labels)]
        # One that is at least so many would keep a node for ever where there is one pod.
        assert budget["spec"]["maxUnavailable"] == 1
        constraints = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert "kubernetes.io/hostname" in {each["topologyKey"] for each in constraints}
        # Old pods do not count while new ones are placed.
        assert all(each["matchLabelKeys"] == ["pod-template-hash"] for each in constraints)


def test_updates_take_no_gateway_away_before_another_is_ready(overlay: str) -> None:
    deployment = named(rendered(overlay), "Deployment", "tensorgate")["spec"]
    limits = [container["resources"]["limits"] for container in of_pod(deployment["template"])]
    surge = not any("nvidia.com/gpu" in each for each in limits)  # there is no GPU for one pod more
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": int(surge), "maxUnavailable": int(not surge)}


def test_probes_tell_what_starts_and_what_is_busy_from_what_is_dead(overlay: str) -> None:
    for deployment in of_kind(rendered(overlay), "Deployment"):
        for container in of_pod(deployment["spec"]["template"]):
            start, ready, live = (container[f"{name}Probe"] for name in ("startup", "readiness", "liveness"))
            assert start["periodSeconds"] * start["failureThreshold"] <= deployment["spec"]["progressDeadlineSeconds"]
            assert start["periodSeconds"] * start["failureThreshold"] >= 600, "models take long to load"
            assert live["periodSeconds"] * live["failureThreshold"] >= 60, "busy is not dead"
            assert ready["periodSeconds"] * ready["failureThreshold"] <= 15
            for probe in (start, ready, live):
                assert probe.get("timeoutSeconds", 1) <= probe["periodSeconds"]
            if container["name"] == "gateway":
                assert ready["httpGet"]["path"] != live["httpGet"]["path"], "what is not ready is not restarted for it"


def test_the_drain_ends_before_the_kill(overlay: str) -> None:
    deployment = named(rendered(overlay), "Deployment", "tensorgate")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    given = settings(rendered(overlay), container)
    delay, timeout = (float(given[f"TENSORGATE_DRAIN_{part}"]) for part in ("DELAY", "TIMEOUT"))
    assert delay >= 5, "Endpoints take some seconds to change"
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= (
        delay + timeout + _SECONDS_FOR_THE_END
    )
    assert "lifecycle" not in container, "the server waits by itself, and is not ready meanwhile"


def test_bytes_held_are_a_quarter_of_the_memory(overlay: str) -> None:
    deployment = named(rendered(overlay), "Deployment", "tensorgate")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    held = int(settings(rendered(overlay), container)["TENSORGATE_MAX_BYTES_IN_FLIGHT"])
    memory = container["resources"]["limits"]["memory"]
    assert held * 4 == int(memory.removesuffix("Gi")) << 30


def test_only_one_says_how_many_gateways_there_are(overlay: str) -> None:
    manifests = rendered(overlay)
    scalers = of_kind(manifests, "HorizontalPodAutoscaler", "ScaledObject")
    deployment = named(manifests, "Deployment", "tensorgate")
    assert len(scalers) == (overlay != "quick-start")
    assert ("replicas" in deployment["spec"]) == (not scalers)
    for scaler in scalers:
        target: dict[str, Any] = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == ("Deployment", "tensorgate")
        least = scaler["spec"].get("minReplicas") or scaler["spec"]["minReplicaCount"]
        assert least >= 2, "one may be updated while the other serves"


def test_a_cell_is_a_gateway_with_a_tensorflow_serving_of_its_own(overlay: str) -> None:
    spec = named(rendered(overlay), "Deployment", "tensorgate")["spec"]["template"]["spec"]
    assert ("initContainers" in spec) == overlay.startswith("cells")
    for container in spec.get("initContainers", ()):
        replicas = rendered(overlay.replace("cells", "tensorflow-serving"))
        alone = named(replicas, "Deployment", "tensorflow-serving")["spec"]["template"]["spec"]
        [copied] = alone["containers"]
        changed = {"restartPolicy": "Always"}  # it starts before the gateway, and ends after it
        assert container == {key: value for key, value in copied.items() if key != "lifecycle"} | changed
        assert spec["tolerations"] == alone["tolerations"]
        assert [each["metadata"]["name"] for each in of_kind(rendered(overlay), "Deployment")] == ["tensorgate"]
