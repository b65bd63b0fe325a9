"""``python -m capacity plan``: a plan as text."""

from benchmarks import tables
from capacity.measured import TFSERVING, Measured
from capacity.model import MODEL
from capacity.options import Plan as Asked
from capacity.plan import Demand, Plan, UnreachableError, plan
from capacity.system import Runs

_REQUESTS = 30_000


def as_text(asked: Asked, measured: Measured) -> tuple[str, int]:
    """Returns the plan, or why there is none, and the exit status."""
    runs = Runs(asked.fixed / 1000, asked.each / 1000, asked.batch)
    costs = measured.costs_of(TFSERVING, MODEL, asked.protocol, asked.size)
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
        from capacity.simulation import simulate  # noqa: PLC0415 - nothing else takes simpy

        seen = simulate(found.system, requests=_REQUESTS)
        rows.append(["simulated", f"mean {_ms(seen.mean)}, p99 {_ms(seen.quantile(0.99))}, of one cell"])
    return tables.as_text(rows), 0


def _rows(demand: Demand, found: Plan) -> list[list[str]]:
    system, cell, costs = found.system, found.system.cell, demand.costs
    run = demand.runs.seconds(system.merged)
    rows = [
        ["asked", f"{demand.rate:,.0f} requests a second of {costs.size:,.0f} bytes, p99 {_ms(demand.p99)} at most"],
        ["gateways", f"{found.gateways:,}: event loops {found.loop:.0%} busy, {costs.loop * 1e6:.0f} µs a request"],
        ["replicas", f"{found.replicas:,}: {system.load:.0%} of what full runs could answer"],
        ["cells", f"{found.cells:,}, each of {cell.gateways} gateways and {cell.replicas} replicas"],
        ["runs", f"of {system.merged:.1f} requests, {_ms(run)}"],
        ["cores", f"{found.cores:,.1f} for the gateways at {demand.utilisation:.0%}"],
        ["network", f"{tables.digits(found.bits / 1e9)} Gbit/s of requests"],
        ["latency", f"mean {_ms(found.latency.mean)}, {_ms(found.latency.in_runs - run)} of it waiting for a run"],
        ["p99", _ms(found.latency.p99)],
        ["load", f"tensorgate_load {found.waiting:.0f} on each gateway"],
    ]
    if found.together is not None:
        rows.append(["no cells", f"all gateways asking all replicas: p99 {_ms(found.together.p99)}, or refusals"])
    return rows


def _ms(seconds: float) -> str:
    return f"{tables.digits(1000 * seconds)} ms"
