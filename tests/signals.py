"""What an alert looks at, and whether a server shows it: signals of a game day."""

import asyncio
import re
from collections.abc import Callable

import httpx

from tests.processes import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules"
_ALERT = re.compile(r"- alert: (\w+)\n +expr: (.*?)\n +for:", re.DOTALL)
_RECORD = re.compile(r"- record: (\S+)\n(?: +labels:[^\n]*\n)? +expr: (.*?)\n(?= +- record|\n|\Z)", re.DOTALL)
_METRIC = re.compile(r"\b(tensorgate_\w+|process_\w+)")


def alerts() -> dict[str, str]:
    """Returns the expressions of all alerts by their names."""
    return dict(_ALERT.findall((RULES / "alerts.yml").read_text("utf-8")))


def metrics_of(alert: str) -> set[str]:
    """Returns the names of the metrics that an alert looks at, by itself or through recording rules."""
    text = alerts()[alert]
    recorded = _RECORD.findall((RULES / "recording.yml").read_text("utf-8"))
    for name, expression in recorded:
        if name in text:
            text += expression
    return set(_METRIC.findall(text))


async def shown(rest: httpx.AsyncClient, alert: str, metric: str, **labels: str) -> float:
    """Returns the sum of the samples with these labels of a metric that the alert looks at.

    Raises:
        AssertionError: When the alert looks at others.
    """
    assert metric in metrics_of(alert), f"{alert} does not look at {metric}"
    total = 0.0
    for line in (await rest.get("/metrics")).text.splitlines():
        sample, _, value = line.rpartition(" ")
        if sample.partition("{")[0] == metric and all(f'{key}="{label}"' in sample for key, label in labels.items()):
            total += float(value)
    return total


async def until_shown(
    rest: httpx.AsyncClient, alert: str, metric: str, is_right: Callable[[float], bool], **labels: str
) -> None:
    """Waits until what `shown` returns is right.

    Raises:
        TimeoutError: When that takes longer than half a minute.
    """
    async with asyncio.timeout(30):
        while not is_right(await shown(rest, alert, metric, **labels)):  # noqa: ASYNC110  # it is no event
            await asyncio.sleep(0.02)
