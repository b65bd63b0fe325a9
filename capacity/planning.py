"""``python -m capacity plan``: a plan as text."""

from benchmarks import tables
from capacity.measured import EMBEDDED, TFSERVING, Measured
from capacity.model import MODEL
from capacity.options import PlanOptions
from capacity.plan import Demand, Plan, UnreachableError, plan
from capacity.system import Cell, Runs

_REQUESTS = 30_000
_FEW_BITS = 1e8


def as_text(options: PlanOptions, measured: Measured) -> tuple[str, int]:
    """Returns the plan, or why there is none, and the exit status."""
    runs = Runs(options.fixed / 1000, options.each / 1000, options.batch)
    costs = measured.costs_of(EMBEDDED if options.embedded else TFSERVING, MODEL, options.protocol, options.size)
    demand = Demand(options.rate, options.p99 / 1000, runs, costs, options.places, options.utilisation)
    try:
        found = plan(demand)
    except UnreachableError as error:
        return f"{error}\n", 1
    about = measured.about["costs"]
    rows = [*_rows(demand, found), ["costs", f"measured on {about['machine']}, {about['date']}"]]
    if options.simulate:
        try:
            from capacity.simulation import simulate  # noqa: PLC0415 - the only module that needs simpy
        except ModuleNotFoundError:
            return (
                "--simulate: expected the package simpy, which is not installed; to install it:"
                " .venv/bin/pip install --constraint requirements/dev.txt simpy\n",
                1,
            )
        seen = simulate(found.system, requests=_REQUESTS)
        rows.append(["simulated", f"mean {_ms(seen.mean)}, p99 {_ms(seen.quantile(0.99))}, of one cell"])
    return tables.as_text(rows), 0


def gigabits(bits: float) -> str:
    """Returns gigabits; where they are few, with one significant digit."""
    return tables.digits(bits / 1e9) if bits >= _FEW_BITS else f"{bits / 1e9:.1g}"


def _rows(demand: Demand, found: Plan) -> list[list[str]]:
    system, cell, costs = found.system, found.system.cell, demand.costs
    run = demand.runs.seconds(system.merged)
    busy = f"{system.load:.0%} of what full runs could answer"
    behind = [["replicas", f"{found.replicas:,}: {busy}"], ["cells", f"{found.cells:,}, each of {_each(cell)}"]]
    rows = [
        ["asked", f"{demand.rate:,.0f} requests a second of {costs.size:,.0f} bytes, p99 {_ms(demand.p99)} at most"],
        ["gateways", f"{found.gateways:,}: event loops {found.loop:.0%} busy, {costs.loop * 1e6:.0f} µs a request"],
        *([["model", f"in the gateways: {busy}"]] if costs.embedded else behind),
        ["runs", f"of {system.merged:.1f} requests, {_ms(run)}"],
        ["cores", f"{found.cores:,.1f} for the gateways at {demand.utilisation:.0%}, without what runs take"],
        ["network", f"{gigabits(found.bits)} Gbit/s of requests"],
        ["latency", f"mean {_ms(found.latency.mean)}, {_ms(max(0, found.latency.in_runs - run))} of it before the run"],
        ["p99", _ms(found.latency.p99)],
        ["load", f"tensorgate_load {found.waiting:.1f} on each gateway"],
    ]
    if found.together is not None:
        rows.append(["no cells", f"all gateways asking all replicas: p99 {_ms(found.together.p99)}, or refusals"])
    return rows


def _each(cell: Cell) -> str:
    gateways, replicas = (
        f"{count} {what}{'s' * (count > 1)}" for count, what in ((cell.gateways, "gateway"), (cell.replicas, "replica"))
    )
    return f"{gateways} and {replicas}, with max_batches_per_model={cell.places}"


def _ms(seconds: float) -> str:
    return f"{tables.digits(1000 * seconds)} ms"
