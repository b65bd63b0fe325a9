"""The plots beside the tables."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import ScalarFormatter

from benchmarks.growth import Growth
from benchmarks.results import Compared, Row
from benchmarks.servers import TENSORGATE

_OURS, _THEIRS, _OTHERS = "#1f6fb2", "#b0b7bf", "#e2a33c"


def plot_throughput(compared: Compared, concurrency: int, file: Path) -> None:
    """Draws answers a second of every row as bars; thin lines reach from the lowest round to the highest."""
    rows = [row for row in compared.rows() if compared.rate(row, concurrency)]
    rows.sort(key=lambda row: _median(compared, row, concurrency))
    with _figure(file, height=0.32 * len(rows) + 1.2) as axes:
        for place, row in enumerate(rows):
            spread = compared.rate(row, concurrency)
            assert spread is not None  # noqa: S101
            reach = [[spread.median - spread.low], [spread.high - spread.median]]
            colour = _OURS if row.server.startswith(TENSORGATE) else _THEIRS
            axes.barh(place, spread.median, color=colour, xerr=reach, ecolor="#444444", error_kw={"lw": 1})
        axes.set_yticks(range(len(rows)), [f"{row.server}, {row.protocol}" for row in rows], fontsize=8)
        axes.set_xlabel(f"answers a second, {concurrency} requests at a time")


def plot_open_loop(compared: Compared, file: Path) -> None:
    """Draws p50 and p99 at half of each row's own capacity."""
    rows = list(compared.open_loop)
    with _figure(file, height=0.32 * len(rows) + 1.4) as axes:
        for place, row in enumerate(reversed(rows)):
            found = compared.open_loop[row]
            p50, p99 = (sorted(getattr(each, name) for each in found)[len(found) // 2] for name in ("p50", "p99"))
            colour = _OURS if row.server.startswith(TENSORGATE) else _THEIRS
            axes.plot([p50, p99], [place, place], color=colour, lw=3, solid_capstyle="round")
            axes.plot([p50], [place], "o", color="#222222", ms=4)
        axes.set_yticks(range(len(rows)), [f"{row.server}, {row.protocol}" for row in reversed(rows)], fontsize=8)
        axes.set_xscale("log")
        axes.set_xlabel("latency, ms: p50 (dot) to p99, at half of its own capacity")


def plot_size(growth: Growth, file: Path) -> None:
    """Draws the latency of single requests by their size."""
    with _figure(file) as axes:
        for protocol, line in growth.size.items():
            axes.plot(list(line), [one.p50 for one, _ in line.values()], marker="o", label=protocol)
        _log_log(axes, "bytes of a request", "p50, ms, one at a time")


def plot_concurrency(growth: Growth, file: Path) -> None:
    """Draws answers a second by requests at a time."""
    with _figure(file) as axes:
        _draw(axes, {name: {x: m.rate for x, m in line.items()} for name, line in growth.concurrency.items()})
        _doubling(axes)
        axes.set_xlabel("requests at a time")
        axes.set_ylabel("answers a second")
        axes.legend(fontsize=8)


def plot_models(growth: Growth, file: Path) -> None:
    """Draws answers a second and memory by the number of models."""
    counts = list(growth.models)
    with _figure(file) as axes:
        axes.plot(counts, [growth.models[n].measured.rate for n in counts], marker="o", color=_OURS, label="answers/s")
        _doubling(axes)
        axes.set_xlabel("models, asked in turn, 64 requests at a time")
        axes.set_ylabel("answers a second")
        other = axes.twinx()
        other.plot(counts, [growth.models[n].memory for n in counts], marker="s", color=_OTHERS, label="memory")
        other.set_ylim(0, 1.1 * other.get_ylim()[1])
        other.set_ylabel("memory, MB (squares)")


def _median(compared: Compared, row: Row, concurrency: int) -> float:
    spread = compared.rate(row, concurrency)
    return spread.median if spread else 0.0


def _draw(axes: Axes, lines: Mapping[str, Mapping[int, float]]) -> None:
    for name, line in lines.items():
        axes.plot(list(line), list(line.values()), marker="o", label=name)


def _doubling(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])


def _log_log(axes: Axes, below: str, beside: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(below)
    axes.set_ylabel(beside)
    axes.legend(fontsize=8)


@contextmanager
def _figure(file: Path, height: float = 4.0) -> Iterator[Axes]:
    """Makes a figure and writes it at the end."""
    figure, axes = plt.subplots(figsize=(8, height))
    yield axes
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
