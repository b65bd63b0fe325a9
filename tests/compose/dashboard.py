"""What the dashboard and the rules ask of Prometheus, asked: whether everything that they name is there.

`complaints` takes the base URL of any Prometheus that scrapes a running system under load.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from tests.processes import ROOT

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "tensorgate.json"
_VARIABLES = {"$__rate_interval": "1m", "$model": ".*"}
_METRIC = re.compile(r"(?<![\w:])(tensorgate[\w:]*|up|process_\w+)(?=[\s{\[)]|$)")

ONLY_TENSORFLOW_SERVING = ":tensorflow:"
"""Begins the names of what only the real TensorFlow Serving exposes."""

ONLY_WITH_A_SPLIT = frozenset(
    {
        "tensorgate_rollout_phase",
        "tensorgate_rollout_step",
        "tensorgate_traffic_share",
        "tensorgate_shadow_rows_total",
    }
)
"""Series of rollouts, splits and shadows, without which their panels are empty: no number of theirs would be true."""

ONLY_SOMETIMES = frozenset(
    {
        "tensorgate_rejected_total",
        "tensorgate_rate_limited_total",
        "tensorgate_replica_ejections_total",
        "tensorgate_batch_queue_requests",
        "tensorgate_request_log_dropped_total",
        "tensorgate_backend_restarts_total",
        "tensorgate_store_reachable",
        "tensorgate_tls_certificate_expiry_timestamp_seconds",
        "tensorgate_rollout_rolled_back_total",
        "tensorgate_rollout_unwritten",
        "tensorgate_shadow_requests_total",
        "tensorgate_model_evictions_total",
        *ONLY_WITH_A_SPLIT,
    }
)
"""Series that begin when something was refused, left out, or waits; or with a log, TLS, a helper, a store, a split, or
a bound on memory."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the dashboard.

    Attributes:
        panel: Title of its panel.
        expression: In PromQL, without variables.
    """

    panel: str
    expression: str


def panels() -> list[dict[str, Any]]:
    """Returns the panels of the dashboard, but for the headings of its rows."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Yields every query of the dashboard."""
    for panel in panels():
        for target in panel["targets"]:
            expression: str = target["expr"]
            for variable, value in _VARIABLES.items():
                expression = expression.replace(variable, value)
            yield Query(panel["title"], expression)


def complaints(prometheus: str, *, tensorflow_serving: bool = False) -> list[str]:
    """Returns what is missing: queries without a number in their answer, rules that fail, metrics that do not exist.

    Args:
        prometheus: Its base URL.
        tensorflow_serving: Whether it scrapes the real one, so that its figures must be there too.
    """
    with httpx.Client(base_url=prometheus, timeout=30) as client:
        return [
            *_of_dashboard(client, tensorflow_serving=tensorflow_serving),
            *_of_rules(client),
        ]


def _of_dashboard(client: httpx.Client, *, tensorflow_serving: bool) -> Iterator[str]:
    for query in queries():
        if ONLY_TENSORFLOW_SERVING in query.expression and not tensorflow_serving:
            continue
        if not ONLY_WITH_A_SPLIT.isdisjoint(_metrics(query.expression)):
            continue
        if not _has_number(client, query.expression):
            yield f"the panel {query.panel!r} is empty: {query.expression}"


def _of_rules(client: httpx.Client) -> Iterator[str]:
    groups = client.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
    if not groups:
        yield "there are no rules"
    for rule in (rule for group in groups for rule in group["rules"]):
        if rule["health"] != "ok":
            yield f"the rule {rule['name']} is {rule['health']}: {rule.get('lastError', 'not evaluated yet')}"
        elif rule["type"] == "recording":
            if not _has_number(client, rule["name"]):
                yield f"the rule {rule['name']} has recorded nothing"
        else:
            for metric in sorted(_metrics(rule["query"]) - ONLY_SOMETIMES):
                if not _has_number(client, metric):
                    yield f"the alert {rule['name']} looks at {metric}, which does not exist"


def _metrics(expression: str) -> set[str]:
    """Returns the metrics that an expression names; what is in quotes may look like one."""
    return set(_METRIC.findall(re.sub(r'"[^"]*"', '""', expression)))


def _has_number(client: httpx.Client, expression: str) -> bool:
    answer = client.post("/api/v1/query", data={"query": expression})
    assert answer.status_code == httpx.codes.OK, f"{expression}: {answer.text}"
    return any(not math.isnan(float(sample["value"][1])) for sample in answer.json()["data"]["result"])
