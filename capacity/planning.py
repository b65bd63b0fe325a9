"""``python -m capacity plan``: a plan as text."""

from benchmarks import tables
from capacity.measured import EMBEDDED, TFSERVING, Measured
from capacity.model import MODEL
from capacity.options import Plan as Asked
from capacity.plan import Demand, Plan, UnreachableError, plan
from capacity.system import Cell, Runs

_REQUESTS = 30_000
_FEW_BITS = 1e8


def as_text(asked: Asked, measured: Measured) -> tuple[str, int]:
    """Returns the plan, or why there is none, and the exit status."""
    runs = Runs(asked.fixed / 1000, asked.each / 1000, asked.batch)
    costs = measured.costs_of(EMBEDDED if asked.embedded else TFSERVING, MODEL, asked.protocol, asked.size)
    demand = Demand(asked.rate, asked.p99 / 1000, runs, costs, asked.places, asked.utilisation)
    try:
        found = plan(demand)
    except UnreachableError as error:
        return f"{error}\n", 1
    rows = [
        *_rows(demand, found),
        ["costs", f"measured on {measured.about.get('machine', '?')}, {measured.about.get('date', '?')}"],
    ]
    if asked.simulate:
        try:
            from capacity.simulation import simulate  # noqa: PLC0415 - nothing else takes simpy
        except ModuleNotFoundError:
            return "--simulate: expected the package simpy, which is not installed (requirements/dev.txt)\n", 1
        seen = simulate(found.system, requests=_REQUESTS)
        rows.append(["simulated", f"mean {_ms(seen.mean)}, p99 {_ms(seen.quantile(0.99))}, of one cell"])
    return tables.as_text(rows), 0


def gigabits(bits: float) -> str:
    """Returns gigabits, small ones too with a digit that means something."""
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
