"""The report: the same tables for the terminal and for docs/benchmarks.md, there with plots and with what they mean."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import bare_loop, environment, growth_tables, plots, prose, ratios, table
from benchmarks.findings import Findings
from benchmarks.processes import ROOT
from benchmarks.results import Spread
from benchmarks.table import Cells

DOCUMENT = ROOT / "docs" / "benchmarks.md"
_PLOTS = ROOT / "docs" / "benchmarks"
_MOST = 64


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the report.

    Attributes:
        section: Of the run, to which the date belongs.
        title: Its heading.
        cells: Its table.
        plot: Name of its plot, and what draws it into a file; None for none.
    """

    section: str
    title: str
    cells: Cells
    plot: tuple[str, Callable[[Path], None]] | None = None


def as_text(findings: Findings) -> str:
    """Returns all tables that have rows."""
    return "\n".join(f"{part.title}\n\n{table.as_text(part.cells)}" for part in _parts(findings))


def write(findings: Findings) -> None:
    """Writes docs/benchmarks.md and its plots."""
    lines = ["# Benchmarks\n\n", prose.INTRODUCTION, "\n", _circumstances(findings)]
    for part in _parts(findings):
        lines += [f"\n## {part.title}\n\n", prose.ABOUT.get(part.title, ""), "\n", table.as_markdown(part.cells)]
        if part.plot is not None:
            name, draw = part.plot
            draw(_PLOTS / f"{name}.png")
            lines.append(f"\n![{part.title}]({_PLOTS.name}/{name}.png)\n")
    lines += ["\n", prose.set_up(findings.peers_call, environment.peers_python())]
    DOCUMENT.write_text("".join(lines))


def _circumstances(findings: Findings) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions().items())
    dates = sorted(set(findings.dates.values()))
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return (
        "| | |\n| --- | --- |\n"
        f"| machine | {environment.machine()} |\n"
        f"| versions | {versions} |\n"
        f"| date | {when} |\n"
        f"| command | `make bench`; rounds: {findings.rounds}; bursts of about {findings.seconds:g} s |\n"
    )


def _parts(findings: Findings) -> Iterator[_Part]:
    every = _all_parts(findings)
    yield from (part for part in every if len(part.cells) > 1)


def _all_parts(findings: Findings) -> Iterator[_Part]:
    compared, growth, concurrencies = findings.compared, findings.growth, findings.concurrencies
    most = max(concurrencies, default=_MOST)
    yield _Part("peers", prose.RATIOS, ratios.table(compared, findings.streams, findings.loops, findings.decoding))
    plot = ("throughput", partial(plots.plot_throughput, compared, most))
    yield _Part("peers", prose.THROUGHPUT, table.throughput(compared, concurrencies), plot)
    yield _Part("peers", prose.LATENCY, table.latencies(compared, concurrencies))
    plot = ("open-loop", partial(plots.plot_open_loop, compared))
    yield _Part("open-loop", prose.OPEN_LOOP, table.open_loop(compared), plot)
    yield _Part("peers", prose.COSTS, table.costs(compared, concurrencies))
    yield _Part("limits", prose.LOOPS, _loops(findings.loops))
    streams = findings.streams
    yield _Part("streaming", prose.STREAMS, table.throughput(streams, concurrencies))
    yield _Part("streaming", prose.STREAM_LATENCY, table.latencies(streams, concurrencies))
    yield _Part("models", prose.MODELS, table.throughput(findings.models, concurrencies))
    yield _Part("models", prose.MODEL_LATENCY, table.latencies(findings.models, concurrencies))
    yield _Part("models", prose.DECODING, growth_tables.decoding(findings.decoding))
    plot = ("size", partial(plots.plot_size, growth))
    yield _Part("growth", prose.SIZE, growth_tables.sizes(growth), plot)
    plot = ("concurrency", partial(plots.plot_concurrency, growth))
    yield _Part("growth", prose.CONCURRENCY, growth_tables.concurrencies(growth), plot)
    plot = ("models", partial(plots.plot_models, growth))
    yield _Part("growth", prose.COUNT, growth_tables.counts(growth), plot)
    yield _Part("soak", prose.SOAK, growth_tables.soak(findings.soak))


def _loops(loops: dict[str, dict[int, list[float]]]) -> Cells:
    head = ["call", *(f"batch {batch}" for batch in bare_loop.BATCHES)]
    rows = [
        [call, *(table.rate(Spread.of(rates[batch])) for batch in bare_loop.BATCHES)] for call, rates in loops.items()
    ]
    return [head, *rows]
