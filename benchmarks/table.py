"""Tables: of text for the terminal, of Markdown for the document."""

from collections.abc import Sequence

from benchmarks.results import Compared, Row, Spread

_WIDEST = 90
"""Longer cells are reasons, for which no room is made."""
Cells = Sequence[Sequence[str]]


def rate(spread: Spread | None) -> str:
    """Returns answers a second: the median of the rounds, and their lowest and highest."""
    if spread is None:
        return "-"
    if spread.low == spread.high:
        return f"{spread.median:,.0f}"
    return f"{spread.median:,.0f} ({spread.low:,.0f} to {spread.high:,.0f})"


def milliseconds(spread: Spread | None) -> str:
    """Returns a time: the median of the rounds."""
    return "-" if spread is None else duration(spread.median)


def duration(value: float) -> str:
    """Returns milliseconds, with as many digits as mean something."""
    if value != value:  # noqa: PLR0124 - what is not a number does not equal itself
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def throughput(results: Compared, concurrencies: Sequence[int]) -> Cells:
    """Returns the table of answers a second, with those that have none and why."""
    head = ["server", "protocol", *(f"{concurrency} at a time" for concurrency in concurrencies)]
    rows = [
        [row.server, row.protocol, *(rate(results.rate(row, concurrency)) for concurrency in concurrencies)]
        for row in results.rows()
    ]
    return [head, *rows, *failures(results, len(head))]


def latencies(results: Compared, concurrencies: Sequence[int]) -> Cells:
    """Returns the table of latencies and of processor time."""
    head = ["server", "protocol"]
    head += [f"{concurrency} at a time: p50 / p99, ms" for concurrency in concurrencies]
    rows = []
    for row in results.rows():
        cells = [
            f"{milliseconds(results.p50(row, concurrency))} / {milliseconds(results.p99(row, concurrency))}"
            for concurrency in concurrencies
        ]
        rows.append([row.server, row.protocol, *cells])
    return [head, *rows]


def open_loop(results: Compared) -> Cells:
    """Returns the table of latencies at a fixed rate."""
    head = ["server", "protocol", "requests/s", "p50, ms", "p99, ms", "sent late by (p50), ms"]
    rows = []
    for row, found in results.open_loop.items():
        spreads = [
            Spread.of([each.rate for each in found]),
            Spread.of([each.p50 for each in found]),
            Spread.of([each.p99 for each in found]),
            Spread.of([each.late_p50 for each in found]),
        ]
        rows.append([row.server, row.protocol, f"{spreads[0].median:,.0f}", *map(milliseconds, spreads[1:])])
    return [head, *rows]


def costs(results: Compared, concurrencies: Sequence[int]) -> Cells:
    """Returns the table of processor time a request, memory and start."""
    head = ["server", "protocol", *(f"CPU ms a request, {concurrency} at a time" for concurrency in concurrencies)]
    head += ["memory at first, MB", "after load, MB", "start, s"]
    rows, told = [], set()
    for row in results.rows():
        idle = memory = start = ""
        if row.server not in told:
            told.add(row.server)
            idle = rate(_middle(results.idle.get(row.server)))
            memory = rate(_middle(results.memory.get(row.server)))
            start = milliseconds(_middle(results.start.get(row.server)))
        cpu = [milliseconds(results.cpu(row, concurrency)) for concurrency in concurrencies]
        rows.append([row.server, row.protocol, *cpu, idle, memory, start])
    return [head, *rows]


def failures(results: Compared, width: int) -> Cells:
    """Returns a row for each that has no figure, with the reason."""
    return [[row.server, row.protocol, _line(reason), *[""] * (width - 3)] for row, reason in results.reasons.items()]


def as_text(cells: Cells) -> str:
    """Lays a table out for a terminal; reasons run on."""
    widths = [max(len(cell) for cell in column if len(cell) <= _WIDEST) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def as_markdown(cells: Cells) -> str:
    """Writes a table in Markdown; figures to the right."""
    head, *rows = cells
    rule = ["---" if column < 2 else "---:" for column in range(len(head))]
    return "".join("| " + " | ".join(row) + " |\n" for row in [head, rule, *rows])


def row_of(results: Compared, server: str, protocol: str) -> Row | None:
    """Returns the row of that server and protocol, if it has figures."""
    row = Row(server, protocol)
    return row if row in results.rows() else None


def _middle(figures: list[float] | None) -> Spread | None:
    if not figures:
        return None
    middle = Spread.of(figures).median
    return Spread(middle, middle, middle)


def _line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:200]
