"""Tables of how cost grows."""

from collections.abc import Mapping

from benchmarks.growth import Growth
from benchmarks.json_decoding import Decoding
from benchmarks.table import Cells, duration


def sizes(growth: Growth) -> Cells:
    """Returns latency and throughput by the size of a request."""
    head = ["bytes", "protocol", "1 at a time: p50, ms", "8 at a time: answers/s", "8 at a time: MB/s"]
    rows = [
        [f"{size:,}", protocol, duration(one.p50), f"{eight.rate:,.0f}", f"{eight.rate * size / 1e6:,.1f}"]
        for protocol, line in growth.size.items()
        for size, (one, eight) in line.items()
    ]
    return [head, *rows, *_reasons(growth, "size of", len(head))]


def concurrencies(growth: Growth) -> Cells:
    """Returns throughput and latency by requests at a time."""
    head = ["server and protocol", "at a time", "answers/s", "p50, ms", "p99, ms"]
    rows = [
        [name, str(concurrency), f"{saw.rate:,.0f}", duration(saw.p50), duration(saw.p99)]
        for name, line in growth.concurrency.items()
        for concurrency, saw in line.items()
    ]
    return [head, *rows, *_reasons(growth, "requests at", len(head))]


def counts(growth: Growth) -> Cells:
    """Returns throughput, memory and start by the number of models."""
    head = ["models", "answers/s", "p99, ms", "memory, MB", "start, s"]
    rows = [
        [str(count), f"{of.measured.rate:,.0f}", duration(of.measured.p99), f"{of.memory:,.0f}", f"{of.start:.1f}"]
        for count, of in growth.models.items()
    ]
    return [head, *rows, *_reasons(growth, "number of", len(head))]


def decoding(found: Mapping[str, Decoding]) -> Cells:
    """Returns the time from JSON to an array."""
    head = ["image", "bytes", "Tensorgate, ms", "orjson and numpy, ms", "times as fast"]
    rows = [
        [name, f"{of.size:,}", f"{of.ours:.3f}", f"{of.orjson:.3f}", f"{of.orjson / of.ours:.1f}"]
        for name, of in found.items()
    ]
    return [head, *rows]


def soak(memory: Mapping[int, float]) -> Cells:
    """Returns memory by the number of requests."""
    first = next(iter(memory.values()), 0.0)
    rows = [[f"{count:,}", f"{of:,.1f}", f"{100 * (of / first - 1):+.1f} %"] for count, of in memory.items()]
    return [["requests", "memory, MB", "more than at first"], *rows]


def _reasons(growth: Growth, beginning: str, width: int) -> Cells:
    return [
        [name, " ".join(reason.split())[:200], *[""] * (width - 2)]
        for name, reason in growth.reasons.items()
        if name.startswith(beginning)
    ]
