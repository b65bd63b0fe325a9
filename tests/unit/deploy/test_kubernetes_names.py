"""What the manifests name is in the code: settings, ports, paths, commands, services, metrics, files."""

import os
import re
from pathlib import Path

import pytest

from service.app.settings import Settings, load, unknown_variables
from service.commands.main import main
from tests.conftest import Served
from tests.kubernetes import (
    FOLDER,
    OVERLAYS,
    Manifest,
    containers,
    made,
    named,
    of_kind,
    of_pod,
    pods,
    read,
    rendered,
    settings,
    with_loader,
)
from tests.processes import ROOT
from tests.unit.deploy.test_monitoring import metric_names  # noqa: F401  # a fixture

DEFAULTS = {name: Settings.model_fields[f"{name}_port"].default for name in ("rest", "grpc")}
OURS = {"tensorgate", "tensorgate-full"}


def image(container: dict[str, str]) -> str:
    return container["image"].rpartition("/")[2].partition(":")[0]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_are_what_the_server_takes(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, container in containers(rendered(overlay)):
        given = settings(rendered(overlay), container)
        assert unknown_variables(given) == [], name
        if container.get("args") == ["serve"]:
            monkeypatch.setenv("TENSORGATE_HOST", "0.0.0.0")  # which is in the image
            for variable, value in given.items():
                monkeypatch.setenv(variable, value)
            assert load({}).max_bytes_in_flight


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ports_are_those_of_the_server(overlay: str) -> None:
    for _, container in containers(rendered(overlay)):
        if container["name"] == "gateway":
            assert {port["name"]: port["containerPort"] for port in container["ports"]} == DEFAULTS
        elif container["name"] == "tfserving":
            flags = dict(flag.removeprefix("--").split("=", 1) for flag in container["args"])
            ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
            assert ports == {"tfs-grpc": flags["port"], "tfs-rest": flags["rest_api_port"]}


def ports_of(manifests: list[Manifest], selector: dict[str, str]) -> dict[str, int]:
    """Returns the ports, by their names, of the pods that are selected."""
    [pod] = [pod for _, pod in pods(manifests) if selector.items() <= pod["metadata"]["labels"].items()]
    ports = [port for container in of_pod(pod) for port in container.get("ports", ())]
    assert len({port["name"] for port in ports}) == len(ports), "a name is of one port of a pod"
    return {port["name"]: port["containerPort"] for port in ports}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_and_policies_lead_to_ports_that_there_are(overlay: str) -> None:
    manifests = with_loader(overlay)
    for service in of_kind(manifests, "Service"):
        target = ports_of(manifests, service["spec"]["selector"])
        for port in service["spec"]["ports"]:
            assert target.get(port["targetPort"], port["targetPort"]) == port["port"] in target.values()
    for policy in of_kind(manifests, "NetworkPolicy"):
        target = ports_of(manifests, policy["spec"]["podSelector"]["matchLabels"])
        for way in policy["spec"]["ingress"]:
            assert {port["port"] for port in way["ports"]} <= {*target, *target.values()}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ports_of_sidecars_are_led_to_by_their_numbers(overlay: str) -> None:
    """Before 1.32 Kubernetes finds no port of an init container by its name."""
    manifests = rendered(overlay)
    sidecars = [container for _, pod in pods(manifests) for container in pod["spec"].get("initContainers", ())]
    names = {port["name"] for container in sidecars for port in container["ports"]}
    services = [port["targetPort"] for each in of_kind(manifests, "Service") for port in each["spec"]["ports"]]
    ways = [way for each in of_kind(manifests, "NetworkPolicy") for way in each["spec"]["ingress"]]
    assert not names & {*services, *(port["port"] for way in ways for port in way["ports"])}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_gateways_find_their_replicas(overlay: str) -> None:
    manifests = rendered(overlay)
    deployment = named(manifests, "Deployment", "tensorgate")
    *beside, container = of_pod(deployment["spec"]["template"])
    given = settings(manifests, container)
    egress = named(manifests, "NetworkPolicy", "tensorgate")["spec"]["egress"]
    if given.get("TENSORGATE_BACKEND") != "tfserving":
        assert image(container) == "tensorgate-full"
        from_a_store = "TENSORGATE_MODELS" in given
        assert {port["port"] for way in egress for port in way["ports"]} == ({53, 443} if from_a_store else set())
        return
    assert image(container) == "tensorgate", "TensorFlow is not needed"
    host, _, port = given["TENSORGATE_TFSERVING_ADDRESSES"].removeprefix("dns:///").partition(":")
    if host == "127.0.0.1":
        assert int(port) in {each["containerPort"] for each in beside[0]["ports"]}
        assert egress == []
        return
    assert not beside
    service = named(manifests, "Service", host)
    assert service["spec"]["clusterIP"] == "None", "its name is to stand for each replica"
    assert int(port) in {each["port"] for each in service["spec"]["ports"]}
    [allowed] = [way for way in egress if "to" in way]
    assert {each["port"] for each in allowed["ports"]} == {int(port)}
    [to] = allowed["to"]
    assert to["podSelector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_files_of_tensorflow_serving_are_mounted(overlay: str) -> None:
    manifests = rendered(overlay)
    for _, pod in pods(manifests):
        container = of_pod(pod)[0]
        if container["name"] != "tfserving":
            continue
        flags = dict(flag.removeprefix("--").split("=", 1) for flag in container["args"])
        files = {name: Path(flag).name for name, flag in flags.items() if flag.startswith("/etc/tfserving/")}
        assert set(files) == {"monitoring_config_file"}
        assert "enable_batching" not in flags, "it would merge requests without knowing whether rows are independent"
        [volume] = [each["configMap"] for each in pod["spec"]["volumes"] if "configMap" in each]
        data = named(manifests, "ConfigMap", volume["name"])["data"]
        assert set(data) == set(files.values())
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == container["image"].endswith("-gpu")


def test_flags_of_tensorflow_serving_are_those_of_the_compose_file() -> None:
    [container] = [each for name, each in containers(rendered("tensorflow-serving")) if name == "tensorflow-serving"]
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert container["args"] == re.findall(r"^    - (--\S+)$", compose.partition("\nservices:")[0], re.MULTILINE)
    tag = container["image"].rpartition(":")[2]
    assert f"TFSERVING_TAG={tag}\n" in (ROOT / ".env").read_text("utf-8")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_commands_are_those_of_the_program(overlay: str, capsys: pytest.CaptureFixture[str]) -> None:
    for _, container in containers(rendered(overlay)):
        if image(container) not in OURS:
            continue
        commands = [["tensorgate", *container["args"]]] if "command" not in container else []
        commands += [line.split() for line in container["args"][0].splitlines() if line.startswith("tensorgate ")]
        commands += [
            each["exec"]["command"] for each in container.values() if isinstance(each, dict) and "exec" in each
        ]
        assert commands
        for program, *words in commands:
            assert program == "tensorgate"
            options = [word for word in words if word.startswith("--")]
            command = words[: words.index(options[0])] if options else words
            with pytest.raises(SystemExit) as ended:
                main([*command, "--help"])
            assert ended.value.code == 0
            help_text = capsys.readouterr().out
            assert all(option in help_text for option in options)


async def test_paths_of_probes_and_scrapes_are_answered(served: Served) -> None:
    paths = {
        probe["httpGet"]["path"]
        for manifests in (*map(rendered, OVERLAYS), [])
        for _, container in containers(manifests)
        for probe in container.values()
        if isinstance(probe, dict) and "httpGet" in probe
    }
    [runtime] = read("kserve/serving-runtime.yaml")
    [container] = runtime["spec"]["containers"]
    paths |= {container[f"{name}Probe"]["httpGet"]["path"] for name in ("readiness", "liveness")}
    paths.add(runtime["spec"]["annotations"]["prometheus.kserve.io/path"])
    for monitor in of_kind(rendered("tensorflow-serving"), "ServiceMonitor"):
        paths |= {endpoint["path"] for endpoint in monitor["spec"]["endpoints"]}
    assert {"/livez", "/readyz", "/metrics"} < paths
    for path in paths:
        assert (await served.rest.get(path)).status_code == 200, path


async def test_routes_lead_to_what_is_served(served: Served) -> None:
    [http] = of_kind(rendered("embedded"), "HTTPRoute")
    [grpc] = of_kind(rendered("embedded"), "GRPCRoute")
    prefixes = [each["path"]["value"] for rule in http["spec"]["rules"] for each in rule["matches"]]
    paths = (await served.rest.get("/openapi.json")).json()["paths"]
    assert all(any(path.startswith(prefix) for path in paths) for prefix in prefixes)
    routed = {path for path in paths if any(f"{path}/".startswith(f"{prefix}/") for prefix in prefixes)}
    assert "/metrics" not in routed
    assert {path.split("/")[1] for path in routed} == {"api", "v1", "v2"}
    services = {each["method"]["service"] for rule in grpc["spec"]["rules"] for each in rule["matches"]}
    offered = set(served.runtime._health._names) - {""}
    assert services - {"grpc.health.v1.Health"} <= offered
    for route, port in ((http, "rest"), (grpc, "grpc")):
        [backend] = route["spec"]["rules"][0]["backendRefs"]
        assert (backend["name"], backend["port"]) == ("tensorgate", DEFAULTS[port])
    assert not set(http["spec"]["hostnames"]) & set(grpc["spec"]["hostnames"]), "a name is of one kind of route"


def test_autoscalers_look_at_metrics_that_there_are(metric_names: set[str]) -> None:  # noqa: F811
    [adapter] = read("components/hpa/prometheus-adapter.yaml")
    [rule] = adapter["rules"]
    [scaler] = of_kind(rendered("embedded"), "HorizontalPodAutoscaler")
    [trigger] = of_kind(rendered("tensorflow-serving-gpu"), "ScaledObject")[0]["spec"]["triggers"]
    [metric] = scaler["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    series = rule["seriesQuery"].partition("{")[0]
    query = rule["metricsQuery"].replace("<<.Series>>", series)
    for text in (query, trigger["metadata"]["query"]):
        [name] = re.findall(r"tensorgate_\w+", text)
        assert name.removesuffix("_sum") in metric_names
        [phases] = re.findall(r'phase=~"([^"]+)"', text)
        documented = (ROOT / "docs" / "metrics.md").read_text("utf-8")
        assert all(f"`{phase}`" in documented for phase in phases.split("|"))
    namespace = of_kind(rendered("tensorflow-serving-gpu"), "ScaledObject")[0]["metadata"]["namespace"]
    assert f'namespace="{namespace}"' in trigger["metadata"]["query"]
    assert trigger["metadata"]["threshold"] == metric["pods"]["target"]["averageValue"]
    advanced = of_kind(rendered("tensorflow-serving-gpu"), "ScaledObject")[0]["spec"]["advanced"]
    assert advanced["horizontalPodAutoscalerConfig"]["behavior"] == scaler["spec"]["behavior"]


def overlay_of(component: str, folder: Path) -> list[Manifest]:
    """Returns what is made of the documented overlay with a component."""
    text = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
    [overlay] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if f"/{component}]" in block]
    here = os.path.relpath(FOLDER, folder.resolve())
    (folder / "kustomization.yaml").write_text(overlay.replace("tensorgate/deploy/kubernetes", here))
    manifests = made(folder)
    assert {manifest["metadata"].get("namespace") for manifest in manifests} == {"models"}
    return manifests


def test_an_overlay_of_ones_own_is_as_the_documentation_has_it(tmp_path: Path) -> None:
    manifests = overlay_of("tensorflow-serving", tmp_path)
    [container] = [each for name, each in containers(manifests) if name == "tensorgate"]
    given = settings(manifests, container)
    assert (given["TENSORGATE_MAX_REQUEST_ROWS"], given["TENSORGATE_BACKEND"]) == ("1024", "tfserving")
    assert container["image"] == "registry.example.com/tensorgate:0.1.0"


def test_an_overlay_of_a_store_is_as_the_documentation_has_it(tmp_path: Path) -> None:
    [container] = [each for _, each in containers(overlay_of("stores", tmp_path))]
    config_map, secret = container["envFrom"]
    assert secret == {"secretRef": {"name": "store"}}
    assert "configMapRef" in config_map
    assert container["image"] == "registry.example.com/tensorgate-full:0.1.0"


def test_the_loader_is_used_as_the_documentation_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
    [pod] = of_kind(read("loader.yaml"), "Pod")
    [mount] = [each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["mountPath"] != "/tmp"]  # noqa: S108
    assert mount == {"name": "models", "mountPath": "/models"}
    commands = re.findall(rf"kubectl exec {pod['metadata']['name']} -- tensorgate (.*)", text)
    assert commands
    for command in commands:
        name, *options = command.split()
        with pytest.raises(SystemExit):
            main([name, "--help"])
        help_text = capsys.readouterr().out
        assert all(option in help_text for option in options if option.startswith("--"))


def test_jobs_are_called_as_the_rules_have_them() -> None:
    manifests = rendered("tensorflow-serving")
    monitors = of_kind(manifests, "ServiceMonitor")
    jobs = {monitor["spec"]["selector"]["matchLabels"][monitor["spec"]["jobLabel"]] for monitor in monitors}
    rules = (FOLDER / "components/monitoring/rules.yaml").read_text("utf-8")
    assert jobs == set(re.findall(r'job="(\w+)"', rules)) == {"gateway", "tfserving"}


@pytest.mark.parametrize("overlay", [overlay for overlay in OVERLAYS if overlay != "stores"])
def test_gateways_may_write_a_list_of_their_own_as_the_documentation_has_it(overlay: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "rollouts.md").read_text("utf-8")
    [patches] = [block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "configMapGenerator" in block]
    here = os.path.relpath(FOLDER / "overlays" / overlay, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{here}]\nnamespace: tensorgate\n{patches}")
    [container] = [each for _, each in containers(made(tmp_path)) if each["name"] == "gateway"]
    file = Path(settings(made(tmp_path), container)["TENSORGATE_MODEL_CONFIG_FILE"])
    [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == str(file.parent)]
    assert not mount.get("readOnly")
    assert mount["name"] == "models"
