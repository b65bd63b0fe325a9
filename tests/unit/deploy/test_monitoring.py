"""The rules and the dashboard are complete: alerts have runbooks, panels say what they show, no code is left out."""

import re
from collections.abc import Iterator

import pytest

from service.errors import ErrorKind
from tests.compose.dashboard import ONLY_SOMETIMES, panels, queries
from tests.processes import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules"
ALERTS = (RULES / "alerts.yml").read_text("utf-8")
RECORDING = (RULES / "recording.yml").read_text("utf-8")
TESTS = (ROOT / "deploy" / "prometheus" / "tests" / "alerts.yml").read_text("utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
UNITS = {"short", "none", "s", "µs", "bytes", "reqps", "percentunit"}


def alerts() -> Iterator[tuple[str, str]]:
    """Yields name and text of each alert."""
    for block in ALERTS.split("- alert: ")[1:]:
        name, _, text = block.partition("\n")
        yield name, text


@pytest.mark.parametrize(("name", "text"), list(alerts()), ids=[name for name, _ in alerts()])
def test_an_alert_says_what_it_is_and_what_to_do(name: str, text: str) -> None:
    assert re.search(r"labels: \{severity: (critical|warning)\}", text)
    assert re.search(r"^ +summary: \S.*$", text, re.MULTILINE)
    assert re.search(r"^ +description: >-\n +\S", text, re.MULTILINE)
    assert f"runbook_url: docs/operations.md#{name.lower()}\n" in text
    assert f"\n### {name}\n" in OPERATIONS
    assert f'alertname="{name}"' in TESTS


def test_runbooks_are_of_alerts_that_there_are() -> None:
    assert set(re.findall(r"^### (Tensorgate\w+)$", OPERATIONS, re.MULTILINE)) == {name for name, _ in alerts()}


def test_every_code_is_somebodys_fault_and_of_nobody_else() -> None:
    faults = re.findall(r'labels: \{fault: \w+\}\n +expr: sum\(rate\(\w+\{code=~"([a-z_|]+)"', RECORDING)
    codes = [code for fault in faults for code in fault.split("|")]
    assert len(faults) == 3
    assert sorted(codes) == sorted(kind.value for kind in ErrorKind)
    ours = "|".join(faults[1:])
    assert len(re.findall(re.escape(f'code=~"{ours}"'), RECORDING)) == 5


def test_panels_say_what_they_show() -> None:
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)
    for panel in panels():
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["datasource"]["uid"] == "prometheus", panel["title"]
        assert panel["targets"], panel["title"]


def test_panels_do_not_cover_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        position = panel["gridPos"]
        assert position["x"] + position["w"] <= 24, panel["title"]
        for x in range(position["x"], position["x"] + position["w"]):
            for y in range(position["y"], position["y"] + position["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]


def test_queried_metrics_exist(metric_names: set[str]) -> None:
    queried = " ".join([*(query.expression for query in queries()), ALERTS, RECORDING])
    for name in set(re.findall(r"\btensorgate_\w+", queried)) - {"tensorgate_"}:
        family = re.sub(r"_(total|bucket|count|sum)$", "", name)
        assert family in metric_names, name


def test_what_there_is_sometimes_is_asked_for() -> None:
    queried = " ".join([ALERTS, *(query.expression for query in queries())])
    assert all(name in queried for name in ONLY_SOMETIMES)


@pytest.fixture(scope="module")
def metric_names() -> set[str]:
    """Names of all metrics that the code exposes, as it spells them."""
    sources = (ROOT / "service" / "telemetry").glob("*.py")
    text = "".join(source.read_text("utf-8") for source in sources)
    names = set(re.findall(r'"(tensorgate_\w+)"', text))
    return names | {"tensorgate_requests_in_flight", "tensorgate_streams_in_flight"}  # made in a loop
