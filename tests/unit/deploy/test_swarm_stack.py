"""The stack for Docker Swarm says what the Compose file says, and nothing that Swarm would pass over."""

import re
from typing import Any

import pytest
import yaml

from service.app.settings import load, unknown_variables
from tests.processes import ROOT

FILES = ["deploy/swarm/stack.yml", "deploy/swarm/stack.local.yml", "reliability/swarm_edge.yml"]
PASSED_OVER = {
    *("build", "cgroup_parent", "container_name", "depends_on", "devices", "external_links", "links", "mem_limit"),
    *("network_mode", "restart", "security_opt", "userns_mode", "profiles", "pids_limit", "tmpfs"),
}
"""What `docker stack deploy` does not do, and says nothing or little about."""


def services(file: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / file).read_text("utf-8"))["services"]
    return found


STACK = services(FILES[0])
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]


@pytest.mark.parametrize("file", FILES)
def test_swarm_does_all_that_is_said(file: str) -> None:
    for service in services(file).values():
        assert not PASSED_OVER & set(service)


@pytest.mark.parametrize("file", FILES)
def test_settings_are_what_the_server_takes(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in services(file).values():
        given = {key: value for key, value in service["environment"].items() if key.startswith("TENSORGATE")}
        assert unknown_variables(given) == []
        with monkeypatch.context() as image:
            if given:
                image.setenv("TENSORGATE_HOST", "0.0.0.0")
            for variable, value in given.items():
                image.setenv(variable, value)
            assert load({}).insecure or not given


def test_tensorflow_serving_is_started_as_in_compose() -> None:
    ours, theirs = STACK["tfserving"], COMPOSE["tfserving"]
    for key in (
        "image",
        "entrypoint",
        "command",
        "user",
        "init",
        "read_only",
        "cap_drop",
        "stop_grace_period",
    ):
        assert ours[key] == theirs[key], key
    assert ours["healthcheck"]["test"] == theirs["healthcheck"]["test"]


def test_a_gateway_is_what_it_is_in_compose() -> None:
    ours, theirs = STACK["gateway"], COMPOSE["gateway"]
    for key in ("image", "init", "read_only", "cap_drop", "networks", "stop_grace_period"):
        assert ours[key] == theirs[key], key
    assert ours["healthcheck"]["test"] == theirs["healthcheck"]["test"] == ["CMD", "tensorgate", "probe"]
    given = ours["environment"]
    grace = float(ours["stop_grace_period"].removesuffix("s"))
    assert float(given["TENSORGATE_DRAIN_DELAY"]) + float(given["TENSORGATE_DRAIN_TIMEOUT"]) + 15 <= grace
    assert (
        int(given["TENSORGATE_MAX_BYTES_IN_FLIGHT"]) * 4
        == int(ours["deploy"]["resources"]["limits"]["memory"][0]) << 30
    )


@pytest.mark.parametrize("name", list(STACK))
def test_what_is_written_goes_to_memory(name: str) -> None:
    assert STACK[name]["read_only"]
    assert {"type": "tmpfs", "target": "/tmp"} in STACK[name]["volumes"]  # noqa: S108


def test_the_gateways_ask_each_task_that_is_healthy() -> None:
    address = STACK["gateway"]["environment"]["TENSORGATE_TFSERVING_ADDRESSES"]
    match = re.fullmatch(r"dns:///tasks\.(\w+):(\d+)", address)
    assert match is not None
    assert f"--port={match[2]}" in STACK[match[1]]["command"]
    assert services(FILES[1])["tfserving"]["environment"]["TENSORGATE_GRPC_PORT"] == match[2]
    assert set(STACK["tfserving"]["networks"]) & set(STACK["gateway"]["networks"])
    assert "ports" not in STACK["tfserving"]


def test_updates_start_a_task_before_they_end_one_and_are_taken_back_when_it_gets_not_healthy() -> None:
    for service in STACK.values():
        update = service["deploy"]["update_config"]
        assert (update["order"], update["parallelism"], update["failure_action"]) == ("start-first", 1, "rollback")
        assert service["deploy"]["rollback_config"]["order"] == "start-first"
        assert service["deploy"]["restart_policy"]["condition"] == "any"
        assert service["healthcheck"]["start_period"]
