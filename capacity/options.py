"""The command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.questions import OIP_RPC
from capacity.measured import PARTS
from capacity.model import PROTOCOLS
from capacity.plan import UTILISATION
from capacity.runs import RunsOptions


@dataclass(frozen=True, slots=True)
class MeasureOptions:
    """What is measured, and how.

    Attributes:
        only: The parts to measure; of the others, the last figures stay.
        rounds: How often each cost is measured.
        seconds: Length of each burst of load; latencies are measured for three times as long.
        write: Whether the tables are written into docs/scaling.md, and the figures beside the code.
        again: Whether nothing is measured, and the last figures are taken.
    """

    only: tuple[str, ...] = PARTS
    rounds: int = 2
    seconds: float = 2.0
    write: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What is planned for.

    Attributes:
        rate: Requests a second.
        p99: Milliseconds.
        fixed: Milliseconds that a run takes whatever is in it.
        each: Milliseconds more for each request in the run.
        batch: Most requests in a run.
        places: Runs that a gateway may have under way on a replica.
        protocol: The protocol of the requests.
        size: Bytes of a request; ``None`` for the smallest size that was measured.
        utilisation: The limit for event loops, full runs and cores.
        embedded: Whether gateways run the model themselves.
        simulate: Whether a cell of the plan is simulated as well.
    """

    rate: float
    p99: float
    fixed: float
    each: float
    batch: int
    places: int
    protocol: str
    size: float | None
    utilisation: float
    embedded: bool
    simulate: bool


def parse(arguments: Sequence[str]) -> MeasureOptions | PlanOptions | RunsOptions:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m capacity", description="Says how much hardware a load takes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    measure = commands.add_parser("measure", help="measure what requests cost here, and check the formulas")
    measure.add_argument("--only", default=",".join(PARTS), help=f"parts, with commas: {', '.join(PARTS)}")
    measure.add_argument(
        "--rounds", type=_positive_whole, default=MeasureOptions().rounds, help="measurements of a cost [%(default)s]"
    )
    measure.add_argument(
        "--seconds", type=_positive, default=MeasureOptions().seconds, help="length of each burst [%(default)s]"
    )
    measure.add_argument("--write", action="store_true", help="write the tables into docs/scaling.md")
    measure.add_argument("--again", action="store_true", help="measure nothing: print or write the last figures")
    measure.set_defaults(make=_measure, parser=measure)
    plan = commands.add_parser("plan", help="say how many gateways, replicas and cores a load takes")
    plan.add_argument("--rate", type=_positive, required=True, help="requests a second")
    plan.add_argument("--p99-ms", type=_positive, required=True, help="time within which 99 of 100 are answered")
    plan.add_argument("--fixed-ms", type=_not_negative, required=True, help="time of a run, whatever is in it")
    plan.add_argument("--each-ms", type=_not_negative, required=True, help="time more for each request in the run")
    plan.add_argument("--batch", type=_positive_whole, default=128, help="most requests in a run [%(default)s]")
    plan.add_argument("--places", type=_positive_whole, default=2, help="max_batches_per_model [%(default)s]")
    plan.add_argument("--protocol", choices=PROTOCOLS, default=OIP_RPC.name, help="of the requests [%(default)s]")
    plan.add_argument("--bytes", type=_positive, help="size of a message or body [the smallest that was measured]")
    plan.add_argument("--utilisation", type=_share, default=UTILISATION, help="at most, 0 to 1 [%(default)s]")
    plan.add_argument("--embedded", action="store_true", help="gateways run the model themselves, without replicas")
    plan.add_argument("--simulate", action="store_true", help="simulate a cell of the plan as well; needs simpy")
    plan.set_defaults(make=_plan, parser=plan)
    runs = commands.add_parser("runs", help="measure how long runs of a model take, for plan")
    runs.add_argument("address", help="HOST:PORT of the gRPC API of a server that serves the model")
    runs.add_argument("model", help="its name")
    runs.add_argument("--signature", default="serving_default", help="[%(default)s]")
    runs.add_argument(
        "--rows", type=_positive_whole, default=32, help="of a large request, at most max_batch_size [%(default)s]"
    )
    runs.add_argument("--calls", type=_positive_whole, default=50, help="requests of each size [%(default)s]")
    runs.add_argument("--unknown", type=_positive_whole, default=0, help="for sizes that the signature leaves open")
    runs.set_defaults(make=_runs, parser=runs)
    chosen = parser.parse_args(arguments)
    made: MeasureOptions | PlanOptions | RunsOptions = chosen.make(chosen)
    return made


def _measure(chosen: argparse.Namespace) -> MeasureOptions:
    only = tuple(word.strip() for word in chosen.only.split(",") if word.strip())
    if unknown := set(only) - set(PARTS):
        chosen.parser.error(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return MeasureOptions(only, chosen.rounds, chosen.seconds, chosen.write, chosen.again)


def _runs(chosen: argparse.Namespace) -> RunsOptions:
    if chosen.rows == 1:
        chosen.parser.error("--rows: expected more than 1, as small requests have 1")
    return RunsOptions(chosen.address, chosen.model, chosen.signature, (1, chosen.rows), chosen.calls, chosen.unknown)


def _plan(chosen: argparse.Namespace) -> PlanOptions:
    if not chosen.fixed_ms + chosen.each_ms:
        chosen.parser.error("--fixed-ms, --each-ms: expected a run that takes more than 0 ms")
    return PlanOptions(
        chosen.rate,
        chosen.p99_ms,
        chosen.fixed_ms,
        chosen.each_ms,
        chosen.batch,
        chosen.places,
        chosen.protocol,
        chosen.bytes,
        chosen.utilisation,
        chosen.embedded,
        chosen.simulate,
    )


def _positive(text: str) -> float:
    if not 0 < (value := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected more than 0, not {text!r}")
    return value


def _not_negative(text: str) -> float:
    if not 0 <= (value := _number(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected 0 or more, not {text!r}")
    return value


def _share(text: str) -> float:
    if not 0 < (value := _number(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected more than 0 and less than 1, not {text!r}")
    return value


def _positive_whole(text: str) -> int:
    if not text.isdecimal() or not (value := int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, not {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {text!r}") from None
