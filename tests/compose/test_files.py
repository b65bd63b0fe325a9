"""The files of the containers say what they should, as Compose and Prometheus understand them."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.compose.dashboard import DASHBOARD, queries
from tests.compose.system import PROMETHEUS_IMAGE, engine_missing, image_missing
from tests.kubernetes import read
from tests.processes import ROOT

pytestmark = [pytest.mark.compose, pytest.mark.skipif(bool(engine_missing()), reason=engine_missing())]
PROMETHEUS = ROOT / "deploy" / "prometheus"
needs_prometheus = pytest.mark.skipif(bool(image_missing(PROMETHEUS_IMAGE)), reason=image_missing(PROMETHEUS_IMAGE))
LOCAL = ("docker-compose.yml", "docker-compose.local.yml")


def config(profiles: str, *files: str, **variables: str) -> dict[str, Any]:
    """Returns what Compose makes of the files."""
    options = [option for file in files or ("docker-compose.yml",) for option in ("-f", file)]
    # Nothing of this shell's: only what is in .env.
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["docker", "compose", *options, "config", "--format", "json"],
        cwd=ROOT,
        env=environment | {"COMPOSE_PROFILES": profiles} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def replicas(document: dict[str, Any]) -> dict[str, Any]:
    """Returns the services that are, or stand for, TensorFlow Serving."""
    return {name: service for name, service in document["services"].items() if name.startswith("tfserving")}


FORMS = {
    "cpu": ("cpu,dashboards", ("docker-compose.yml",)),
    "gpu": ("gpu,dashboards", ("docker-compose.yml",)),
    "gpu4": ("gpu4,dashboards", ("docker-compose.yml",)),
    "local": ("cpu,dashboards", LOCAL),
    "tracing": ("cpu,dashboards,tracing", ("docker-compose.yml",)),
}


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> dict[str, Any]:
    profiles, files = FORMS[request.param]
    return config(profiles, *files)


def test_what_env_starts() -> None:
    document = config("cpu,dashboards")
    assert set(document["services"]) == {"train", "tfserving", "gateway", "prometheus", "grafana"}
    assert "COMPOSE_PROFILES=cpu,dashboards\n" in (ROOT / ".env").read_text("utf-8")


def test_grafana_can_be_left_out() -> None:
    assert "grafana" not in config("cpu")["services"]


@pytest.mark.parametrize("files", [("docker-compose.yml",), LOCAL])
def test_traces_go_where_the_variable_says_and_by_default_nowhere(files: tuple[str, ...]) -> None:
    traced = {"gateway", "tfserving"} if files == LOCAL else {"gateway"}
    assert "jaeger" not in config("cpu", *files)["services"]
    for endpoint in ("", "http://jaeger:4317"):
        services = config("cpu,tracing", *files, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)["services"]
        for name in traced:
            assert services[name]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
            assert services[name]["environment"]["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"  # the image has no other
            assert set(services[name]["networks"]) & set(services["jaeger"]["networks"])


@pytest.mark.parametrize(("profile", "gpus"), [("gpu", 1), ("gpu2", 2), ("gpu3", 3), ("gpu4", 4)])
def test_a_switch_starts_a_tensorflow_serving_on_each_gpu(profile: str, gpus: int) -> None:
    services = replicas(config(profile))
    assert len(services) == gpus
    devices = []
    for service in services.values():
        assert service["image"].endswith("-gpu")
        assert service["environment"]["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
        assert service["networks"]["backend"]["aliases"] == ["tfserving"]
        assert service["deploy"]["resources"]["limits"]["memory"]
        [device] = service["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
        devices += device["device_ids"]
    assert sorted(devices) == [str(number) for number in range(gpus)]


def test_without_the_switch_no_gpu_is_asked_for() -> None:
    [service] = replicas(config("cpu")).values()
    assert not service["image"].endswith("-gpu")
    assert "reservations" not in service["deploy"]["resources"]


def test_tensorflow_serving_is_given_what_makes_it_fit_for_production() -> None:
    for profile in ("cpu", "gpu"):
        [service] = replicas(config(profile)).values()
        flags = dict(flag.removeprefix("--").split("=", 1) for flag in service["command"])
        assert service["entrypoint"] == ["/usr/bin/tensorflow_model_server"]
        assert flags["enable_profiler"] == "false"
        assert flags["enable_grpc_healthcheck_service"] == "true"
        assert flags["allow_version_labels_for_unavailable_models"] == "true"
        assert flags["model_config_file"] == "/models/models.config"
        assert int(flags["model_config_file_poll_wait_seconds"]) > 0
        mounted = {config["target"] for config in service["configs"]}
        assert {flags["monitoring_config_file"]} == mounted
        assert "enable_batching" not in flags, "it would merge requests without knowing whether rows are independent"
        assert service["stop_grace_period"] == "15s"
        assert service["user"] == "1000:1000"


def test_only_clients_and_watchers_reach_anything(form: dict[str, Any]) -> None:
    assert form["networks"]["backend"]["internal"] is True
    for name, service in form["services"].items():
        published = {port["host_ip"] for port in service.get("ports", ())}
        assert published == ({"127.0.0.1"} if name in {"gateway", "prometheus", "grafana", "jaeger"} else set()), name
    for service in replicas(form).values():
        assert list(service["networks"]) == ["backend"]


def test_every_container_is_held_short(form: dict[str, Any]) -> None:
    for name, service in form["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["init"] is True, name
        assert service["logging"]["options"]["max-size"], name
        limits = service["deploy"]["resources"]["limits"]
        assert int(limits["memory"]) >= 2**28, name
        assert limits["pids"] > 0, name


def test_models_are_written_by_the_training_alone(form: dict[str, Any]) -> None:
    for name, service in form["services"].items():
        for mount in service.get("volumes", ()):
            if mount["source"] == "models" and name != "train":
                assert mount["read_only"] is True, name
                assert mount["volume"]["nocopy"] is True, name


def test_they_start_in_order(form: dict[str, Any]) -> None:
    waits = {
        name: {other: wait["condition"] for other, wait in service.get("depends_on", {}).items()}
        for name, service in form["services"].items()
    }
    for name in replicas(form):
        assert waits[name] == {"train": "service_completed_successfully"}
        assert waits["gateway"][name] == "service_healthy"
    for name, service in form["services"].items():
        assert ("test" in service.get("healthcheck", {})) == (name != "train"), name


def test_the_drain_ends_before_the_kill() -> None:
    gateway = config("cpu", DRAIN_DELAY="15")["services"]["gateway"]
    drain = sum(float(gateway["environment"][f"TENSORGATE_DRAIN_{part}"]) for part in ("DELAY", "TIMEOUT"))
    assert gateway["stop_grace_period"] == "1m0s"
    assert drain + 10 < 60


def test_env_has_every_variable_and_no_other() -> None:
    text = "".join((ROOT / file).read_text("utf-8") for file in LOCAL)
    used = {name for name in re.findall(r"(?<!\$)\$\{(\w+)", text) if not name.endswith("_IMAGE") or "PYTHON" in name}
    defaults = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", text))
    given = dict(
        line.split("=", 1) for line in (ROOT / ".env").read_text("utf-8").splitlines() if re.match(r"\w", line)
    )
    assert set(given) - {"COMPOSE_PROFILES"} == used
    for name, value in given.items():
        assert value == defaults.get(name, value), f"{name} has another default in the Compose file"


def test_settings_of_the_images_are_settings(form: dict[str, Any]) -> None:
    from service.app.settings import unknown_variables

    for service in form["services"].values():
        assert unknown_variables(service.get("environment", {})) == []


def promtool(*arguments: str, files: Path = PROMETHEUS) -> str:
    """Runs promtool of the image on these files."""
    # TMPDIR: the image's volume is the one place where its user may write.
    mount = f"{files}:/etc/prometheus:ro"
    options = ["--rm", "--network", "none", "--env", "TMPDIR=/prometheus", "--volume", mount]
    done = subprocess.run(
        [
            "docker",
            "run",
            *options,
            "--workdir",
            "/etc/prometheus",
            "--entrypoint",
            "/bin/promtool",
            PROMETHEUS_IMAGE,
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_prometheus
@pytest.mark.parametrize("file", ["prometheus.yml", "prometheus.local.yml"])
def test_prometheus_accepts_its_files(file: str) -> None:
    assert "2 rule files found" in promtool("check", "config", file)


@needs_prometheus
def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "tests/alerts.yml")


@needs_prometheus
def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    rules = [{"record": f"query:{number}", "expr": query.expression} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": DASHBOARD.name, "rules": rules}]}))  # JSON is YAML
    assert f"{len(rules)} rules found" in promtool("check", "rules", file.name, files=tmp_path)


@needs_prometheus
def test_autoscalers_are_told_how_many_requests_wait_or_run(tmp_path: Path) -> None:
    [adapter] = read("components/hpa/prometheus-adapter.yaml")
    [keda] = read("components/keda/scaled-object.yaml")
    series = 'tensorgate_phase_duration_seconds_sum{namespace="tensorgate",pod="%s",phase="%s"}'
    query = adapter["rules"][0]["metricsQuery"].replace("<<.Series>>", "tensorgate_phase_duration_seconds_sum")
    query = query.replace("<<.LabelMatchers>>", 'namespace="tensorgate"').replace("<<.GroupBy>>", "pod")
    # Of pod a, two requests wait and one runs at any time; of pod b, one runs; to decode is neither.
    seconds = {("a", "queue"): 2, ("a", "execute"): 1, ("a", "decode"): 5, ("b", "execute"): 1}
    expected = {query: {'{pod="a"}': 3, '{pod="b"}': 1}, keda["spec"]["triggers"][0]["metadata"]["query"]: {"{}": 4}}
    test = {
        "interval": "5s",
        "input_series": [{"series": series % labels, "values": f"0+{5 * each}x60"} for labels, each in seconds.items()],
        "promql_expr_test": [
            {
                "expr": expression,
                "eval_time": "4m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
            }
            for expression, samples in expected.items()
        ],
    }
    tmp_path.chmod(0o755)
    (tmp_path / "tests.yml").write_text(json.dumps({"tests": [test]}))  # JSON is YAML
    promtool("test", "rules", "tests.yml", files=tmp_path)
