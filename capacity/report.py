"""The tables: for the terminal, and for docs/scaling.md, between its marks."""

from collections.abc import Callable, Mapping

from benchmarks import tables
from benchmarks.processes import ROOT
from benchmarks.questions import MODEL as CNN
from benchmarks.questions import OIP_RPC
from benchmarks.tables import Cells
from capacity import queueing
from capacity.latency import latency
from capacity.measured import EMBEDDED, TFSERVING, Measured
from capacity.model import MODEL
from capacity.plan import Demand, Plan, UnreachableError, plan
from capacity.planning import gigabits
from capacity.simulation import simulate
from capacity.system import Cell, Runs, System
from capacity.trying import RUNS
from reliability import table
from service.app.settings import Settings

DOCUMENT = ROOT / "docs" / "scaling.md"
GPU = Runs(fixed=0.003, each=0.000_062_5, most=32)
"""5 ms for a run of 32."""
BY_ROWS = Runs(fixed=0.001, each=0.0005, most=32)
"""Most of the time of a run depends on its rows."""
CELLS = (Cell(1, 1), Cell(1, 4), Cell(3, 1), Cell(4, 4), Cell(8, 2, places=1))
LOADS = (0.3, 0.7, 0.9)
RATES = (1_000, 10_000, 100_000, 1_000_000)
_PICTURE = 150_528
"""Bytes of 224x224 pixels of three colours."""
_WITHIN = 0.05
_REQUESTS = 20_000
_WAITS = 0.2
_ADMITTED = Settings.model_fields["max_requests_in_flight"].default


def as_text(measured: Measured) -> str:
    """Returns all tables."""
    return "\n".join(f"{name}\n\n{tables.as_text(cells)}" for name, cells in _tables(measured).items() if cells[1:])


def write(measured: Measured) -> None:
    """Writes the tables into the document.

    Raises:
        ValueError: When the document lacks the marks of a table.
    """
    for name, cells in _tables(measured).items():
        table.write(DOCUMENT, tables.as_markdown(cells), f"<!-- figures: make capacity, {name} -->")


def _tables(measured: Measured) -> Mapping[str, Cells]:
    made: dict[str, Callable[[Measured], Cells]] = {
        "about": about,
        "costs": costs,
        "pools": lambda _: pools(),
        "model": lambda _: model(),
        "latencies": latencies,
        "full": full,
        "idle": idle,
        "plans": plans,
    }
    return {name: make(measured) for name, make in made.items()}


def about(measured: Measured) -> Cells:
    """Returns how and where the parts were measured: once for all, or for those that were measured together."""
    times: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for part, said in measured.about.items():
        times.setdefault(tuple(said.items()), []).append(part)
    rows = []
    for facts, parts in times.items():
        which = f" ({', '.join(parts)})" if len(times) > 1 else ""
        rows += [[name + which, value] for name, value in facts]
    return [["", ""], *rows]


def costs(measured: Measured) -> Cells:
    """Returns what requests cost, and how many a second one process answers at most because of that."""
    head = ["backend", "model", "protocol", "bytes", "event loop, µs", "other threads, µs", "most a second, a process"]
    rows = [
        [
            cost.backend,
            cost.model,
            cost.protocol,
            f"{cost.size:,}",
            tables.digits(cost.loop),
            tables.digits(cost.others),
            f"{1e6 / cost.loop:,.0f}",
        ]
        for cost in measured.costs
    ]
    return [head, *rows]


def pools() -> Cells:
    """Returns the utilisation at which few requests have to wait, by the number of servers with one queue."""
    head = ["servers with one queue", "utilisation at which 1 in 5 has to wait", "beyond what is busy"]
    rows = []
    for offered in (0.2, 1.2, 3.0, 12.5, 57.0, 190.0):
        servers = queueing.servers_for(offered, _WAITS)
        rows.append([f"{servers}", f"{offered / servers:.0%}", f"{(servers - offered) / offered**0.5:.1f} √busy"])
    return [head, *rows]


def model() -> Cells:
    """Returns the latencies of some cells, by simulation and by the formulas."""
    head = ["a run", "gateways", "replicas", "places", "load", "in a run"]
    head += ["mean: simulated", "formula", "p99: simulated", "formula"]
    rows = []
    for runs, cells in ((GPU, CELLS), (BY_ROWS, CELLS[:2])):
        for cell in cells:
            for load in LOADS:
                system = System(load * cell.replicas * runs.most_rate, cell, runs)
                rows.append([_name(runs), *_cell(cell), f"{load:.0%}", *_beside(system)])
    return [head, *rows]


def latencies(measured: Measured) -> Cells:
    """Returns the latencies of some cells, as measured, by simulation and by the formulas."""
    head = ["gateways", "replicas", "places", "requests a second", "in a run: measured", "simulated"]
    head += ["mean: measured", "simulated", "formula", "p99: measured", "simulated", "formula", "requests", "failed"]
    rows = []
    for tried in measured.tried:
        system = System(tried.rate, tried.cell, RUNS)
        seen, said = simulate(system, requests=_REQUESTS), latency(system)
        rows.append(
            [
                *_cell(tried.cell),
                f"{tried.rate:.0f}",
                tables.digits(tried.merged),
                tables.digits(seen.mean_merged),
                *(_ms(seconds) for seconds in (tried.mean, seen.mean, said.mean)),
                *(_ms(seconds) for seconds in (tried.p99, seen.quantile(0.99), said.p99)),
                f"{tried.count:,}",
                f"{tried.failed}",
            ]
        )
    return [head, *rows]


def full(measured: Measured) -> Cells:
    """Returns how many requests several gateways answered on this machine."""
    head = ["gateways", "answers a second", "CPU µs of a gateway, a request", "cores that they used"]
    rows = [
        [f"{each.gateways}", f"{each.rate:,.0f}", f"{each.cost:.0f}", tables.digits(each.cores)]
        for each in measured.full
    ]
    return [head, *rows]


def idle(measured: Measured) -> Cells:
    """Returns what a gateway costs without any request."""
    head = ["what", "a gateway takes for it"]
    if (found := measured.idle) is None:
        return [head]
    return [
        head,
        ["a replica that it watches", f"{found.replica:,.0f} µs of CPU a second"],
        ["a connection of a gRPC client", f"{found.http2 / 1024:.0f} KiB"],
        ["a connection of a REST client", f"{found.http1 / 1024:.0f} KiB"],
        ["Prometheus, with a model that was asked in one way, and one replica", f"{found.series:,} samples a scrape"],
        ["the same, for each replica more", f"{found.replica_series:,} samples a scrape"],
    ]


def plans(measured: Measured) -> Cells:
    """Returns what some loads take."""
    head = ["what", "requests a second", "gateways", "replicas", "gateways : replicas of a cell"]
    head += ["event loop", "load", "cores of gateways", "requests, Gbit/s", "in a run", "p99", "the same in one cell"]
    rows = []
    for what, demand in demands(measured).items():
        for rate in RATES:
            try:
                found = plan(demand(rate))
            except UnreachableError:
                rows.append([what, f"{rate:,}", *["-"] * (len(head) - 2)])
                continue
            rows.append([what, f"{rate:,}", *_planned(found)])
    return [head, *rows]


def demands(measured: Measured) -> Mapping[str, Callable[[float], Demand]]:
    """Returns three kinds of load, each as a function of its requests a second."""
    found: dict[str, Callable[[float], Demand]] = {}
    if not measured.costs:
        return found
    if measured.cnn is not None:
        cnn, embedded = measured.cnn, measured.costs_of(EMBEDDED, CNN, OIP_RPC.name)
        found["a CNN for digits, on CPUs, in the gateways"] = lambda rate: Demand(rate, _WITHIN, cnn, embedded)
    small = measured.costs_of(TFSERVING, MODEL, OIP_RPC.name)
    large = measured.costs_of(TFSERVING, MODEL, OIP_RPC.name, _PICTURE)
    found["5 ms for 32 on a GPU, small messages"] = lambda rate: Demand(rate, _WITHIN, GPU, small)
    found["5 ms for 32 on a GPU, pictures of 150 KB"] = lambda rate: Demand(rate, _WITHIN, GPU, large)
    return found


def _planned(found: Plan) -> list[str]:
    cell = found.system.cell
    return [
        f"{found.gateways:,}",
        f"{found.replicas:,}" if found.replicas else "-",
        f"{cell.gateways} : {cell.replicas}" if found.replicas else "-",
        f"{found.loop:.0%}",
        f"{found.system.load:.0%}",
        f"{found.cores:,.1f}",
        gigabits(found.bits),
        tables.digits(found.system.merged),
        _ms(found.latency.p99),
        _together(found),
    ]


def _together(found: Plan) -> str:
    if found.together is None:
        return "-"
    rate = found.system.rate / found.system.cell.gateways
    return _ms(found.together.p99) if rate * found.together.in_runs <= _ADMITTED else "refused"


def _beside(system: System) -> list[str]:
    seen, said = simulate(system, requests=_REQUESTS), latency(system)
    p99 = seen.quantile(0.99)
    return [
        f"{seen.mean_merged:.1f}",
        _ms(seen.mean),
        f"{_ms(said.mean)} ({said.mean / seen.mean - 1:+.0%})",
        _ms(p99),
        f"{_ms(said.p99)} ({said.p99 / p99 - 1:+.0%})",
    ]


def _cell(cell: Cell) -> list[str]:
    return [str(cell.gateways), str(cell.replicas), str(cell.places)]


def _name(runs: Runs) -> str:
    return f"{1000 * runs.fixed:g} ms + {1000 * runs.each:g} ms each"


def _ms(seconds: float) -> str:
    return f"{tables.digits(1000 * seconds)} ms"
