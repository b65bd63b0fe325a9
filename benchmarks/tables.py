"""Tables: of text for the terminal, of Markdown for the document."""

from collections.abc import Iterable, Sequence

from benchmarks.bare_loop import BATCHES, CALLS
from benchmarks.figures import figures
from benchmarks.loading import LATENCIES, MEANWHILE, USUALLY
from benchmarks.results import Figure, Results, Rounds, Spread
from benchmarks.rounds import JSON, LOOP
from benchmarks.servers import FEW, MANY, MOST

Cells = Sequence[Sequence[str]]
_CONCURRENCIES = (FEW, MANY, MOST)
_WIDEST = 90
"""Longer cells are reasons, for which no room is made."""


def in_short(results: Results) -> Cells:
    """Returns the figures that matter, those that were found."""
    rows = [[what, *_figure(rounds, unit)] for what, unit, rounds in figures(results) if rounds]
    return [["what", "median", "lowest to highest round"], *rows]


def throughput(results: Results) -> Cells:
    """Returns the table of requests/s, with those that lack some and why."""
    head = ["server", "protocol", *(f"concurrency {concurrency}" for concurrency in _CONCURRENCIES)]
    rows = [
        [server, protocol, *(_whole(results.of(server, "rate", protocol, each)) for each in _CONCURRENCIES)]
        for server, protocol in results.rows()
    ]
    reasons = [[server, protocol, _line(reason), "", ""] for (server, protocol), reason in results.reasons.items()]
    return [head, *rows, *reasons]


def latencies(results: Results) -> Cells:
    """Returns the table of latencies."""
    head = ["server", "protocol", *(f"concurrency {concurrency}: p50 / p99, ms" for concurrency in _CONCURRENCIES)]
    rows = []
    for server, protocol in results.rows():
        pairs = [
            [_middle(results.of(server, what, protocol, each)) for what in ("p50", "p99")] for each in _CONCURRENCIES
        ]
        if any(pair != ["-", "-"] for pair in pairs):
            rows.append([server, protocol, *map(" / ".join, pairs)])
    return [head, *rows]


def costs(results: Results) -> Cells:
    """Returns the table of processor time, memory and start."""
    head = ["server", "protocol", *(f"CPU ms per request, concurrency {concurrency}" for concurrency in _CONCURRENCIES)]
    head += ["memory at first, MB", "after load, MB", "start, s"]
    rows, told = [], set()
    for server, protocol in results.rows():
        cpu = [_middle(results.of(server, "cpu", protocol, each)) for each in _CONCURRENCIES]
        once = ["", "", ""]
        if server not in told:
            told.add(server)
            once = [_middle(results.of(server, what)) for what in ("memory at first", "memory", "start")]
        rows.append([server, protocol, *cpu, *once])
    return [head, *rows]


def loops(results: Results) -> Cells:
    """Returns the table of the bare loop."""
    rows = [[call, *(_whole(results.of(LOOP, "images", call, batch)) for batch in BATCHES)] for call in CALLS]
    return [["call", *(f"batch {batch}" for batch in BATCHES)], *(row for row in rows if row[1] != "-")]


def decoding(results: Results) -> Cells:
    """Returns the table of JSON to arrays."""
    names = dict.fromkeys(of.protocol for of in results.figures if of.server == JSON)
    rows = [[name, *(_middle(results.of(JSON, what, name)) for what in ("bytes", "ours", "orjson"))] for name in names]
    return [["image", "bytes", "Tensorgate, ms", "orjson and numpy, ms"], *rows]


def loading(results: Results) -> Cells:
    """Returns the table of latencies while a large version loads."""
    head = ["server", "concurrency", *(f"{when}: {' / '.join(LATENCIES)}, ms" for when in (USUALLY, MEANWHILE))]
    rows = [
        [of.server, str(of.concurrency), *(_latencies(results, of, when) for when in (USUALLY, MEANWHILE))]
        for of in results.figures
        if of.what == f"{USUALLY}: worst"
    ]
    return [head, *rows]


def soak(results: Results) -> Cells:
    """Returns the table of memory by the number of requests."""
    head = ["requests", "memory, MB", "more than at first"]
    found = {of.concurrency: rounds[0] for of, rounds in results.figures.items() if of.what == "soak"}
    first = next(iter(found.values()), 0.0)
    return [head, *([f"{n:,}", f"{of:,.1f}", f"{100 * (of / first - 1):+.1f} %"] for n, of in found.items())]


def as_text(cells: Cells) -> str:
    """Lays a table out for a terminal; reasons run on."""
    widths = [max(len(cell) for cell in column if len(cell) <= _WIDEST) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def as_markdown(cells: Cells) -> str:
    """Writes a table in Markdown; figures to the right."""
    head, *rows = cells
    rule = (
        ["---" if _is_text(column) else "---:" for column in zip(*rows, strict=True)] if rows else ["---"] * len(head)
    )
    return "".join("| " + " | ".join(row) + " |\n" for row in [head, rule, *rows])


def digits(value: float) -> str:
    """Returns a figure with as many digits as mean something."""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _figure(rounds: Rounds, unit: str) -> tuple[str, str]:
    spread, after = Spread.of(rounds), "" if unit == "x" else f" {unit}"
    assert spread is not None  # noqa: S101 - those without rounds are left out
    return digits(spread.median) + after, f"{digits(spread.low)} to {digits(spread.high)}{after}"


def _whole(rounds: Rounds) -> str:
    spread = Spread.of(rounds)
    if spread is None:
        return "-"
    return f"{spread.median:,.0f}" + (f" ({spread.low:,.0f} to {spread.high:,.0f})" if len(rounds) > 1 else "")


def _middle(rounds: Rounds) -> str:
    spread = Spread.of(rounds)
    return "-" if spread is None else digits(spread.median)


def _latencies(results: Results, of: Figure, when: str) -> str:
    found = (results.of(of.server, f"{when}: {what}", of.protocol, of.concurrency) for what in LATENCIES)
    return " / ".join(map(_middle, found))


def _is_text(column: Iterable[str]) -> bool:
    return not all(cell[:1] in "-+" or cell[:1].isdigit() for cell in column)


def _line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:200]
