"""docs/metrics.md names every metric that servers expose, with its type and labels, and no other."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.app.lifecycle import Server
from service.app.settings import load
from service.core.rollout import Shadow
from service.core.traffic_split import Split
from service.telemetry.certificates import report_expiry
from service.telemetry.stores import StoreMetrics
from tests.conftest import Served, serving
from tests.processes import ROOT

ROW = re.compile(r"^\| `([\w:]+)` \| (\w+) \|(.*?)\| (.+?) \| (.+?) \|$", re.MULTILINE)
DOCUMENTED = {
    name: (kind, set(re.findall(r"`(\w+)`", labels)))
    for name, kind, labels, _, _ in ROW.findall((ROOT / "docs" / "metrics.md").read_text("utf-8"))
}


def exposed(page: str) -> dict[str, tuple[str, set[str]]]:
    """Returns of each metric on the page the type, and the labels of its samples."""
    families = {}
    for family in text_string_to_metric_families(page):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        families[name] = (family.type, labels)
    return families


def declared(server: Server) -> dict[str, set[str]]:
    """Returns the labels of metrics that may have no samples yet."""
    registry: Any = server._parts.metrics.registry
    labels = {}
    for collector in registry._collector_to_names:
        name = getattr(collector, "_name", "")
        names = getattr(collector, "_labelnames", getattr(collector, "_labels", None))
        if name and names is not None:
            labels[name if collector.__class__.__name__ != "Counter" else f"{name}_total"] = set(names)
    return labels


async def ask(served: Served) -> None:
    good: dict[str, Any] = {"images": [{"pixels": [[0] * 4] * 4}]}
    for body in (good, {}):
        await served.rest.post("/api/v1/models/shades/classify", json=body)


@pytest.mark.over_rest
async def test_every_metric_is_documented_as_it_is(tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.touch()
    pages: list[dict[str, tuple[str, set[str]]]] = []
    settings = {"request_log": tmp_path / "log", "limits_file": limits, "isolated": True, "max_loaded_bytes": 1}
    async with serving(tfserving_metrics=True, **settings) as served:
        await ask(served)
        served.runtime.catalog.set_labels("shades", {"stable": Split({1: 95, 2: 5})})
        served.runtime.catalog.set_shadow("shades", Shadow(1, 1.0))
        report_expiry(served.runtime._parts.metrics.registry, lambda: 1.0)  # as with TLS
        StoreMetrics(served.runtime._parts.metrics.registry)  # as with a store
        pages.append(exposed((await served.rest.get("/metrics")).text))
        labels = declared(served.runtime)
    front = {"backend": "tfserving", "tfserving_addresses": "127.0.0.1:1", "tfserving_models": "m"}
    front["model_config_file"] = str(tmp_path / "models.config")
    rollout = "model_version_policy { all {} } tensorgate { rollout { stable_version: 1 canary_version: 2 } }"
    config = f'model_config_list {{ config {{ name: "m" base_path: "m" {rollout} }} }}'
    (tmp_path / "models.config").write_text(config)
    async with (
        Server(load(front | {"rest_port": 0, "grpc_port": 0, "drain_timeout": 1})) as gateway,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway.rest_port}") as rest,
    ):
        pages.append(exposed((await rest.get("/metrics")).text))
    found = {name for page in pages for name in page}
    assert found == set(DOCUMENTED)
    for page in pages:
        for name, (kind, sampled) in page.items():
            assert kind == DOCUMENTED[name][0], name
            assert not sampled or sampled == DOCUMENTED[name][1], name
    for name, names in labels.items():
        assert names == DOCUMENTED[name][1], name


def test_every_row_has_a_unit_and_a_meaning() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert len(DOCUMENTED) == len(re.findall(r"^\| `", text, re.MULTILINE))
