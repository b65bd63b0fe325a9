"""The report: the same tables for the terminal and for docs/benchmarks.md, there with what they mean."""

from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template

from benchmarks import standin, tables
from benchmarks.loading import VARIABLES
from benchmarks.processes import ROOT
from benchmarks.results import Results
from benchmarks.servers import LIMITS
from benchmarks.tables import Cells

DOCUMENT = ROOT / "docs" / "benchmarks.md"
_TEMPLATE = Path(__file__).with_name("report.md")
_TABLES: Mapping[str, Callable[[Results], Cells]] = {
    "throughput": tables.throughput,
    "latencies": tables.latencies,
    "costs": tables.costs,
    "loops": tables.loops,
    "decoding": tables.decoding,
    "loading": tables.loading,
    "soak": tables.soak,
    "in_short": tables.in_short,
}
_CALLS = {
    "function": (
        "They call the SavedModel as TensorFlow's and their own documents show it: the function that\n"
        "`tf.saved_model.load` gives. Tensorgate calls it by a session, which costs less; `--peers-call session`\n"
        "gives the peers the same call."
    ),
    "session": (
        "They call the SavedModel as Tensorgate does, by a prepared call of a session, which costs less than what\n"
        "their documents show."
    ),
}


def as_text(results: Results) -> str:
    """Returns all tables that have rows; what matters comes last, where one looks first."""
    found = _tables(results)
    return "\n".join(
        f"{name.replace('_', ' ')}\n\n{tables.as_text(cells)}" for name, cells in found.items() if cells[1:]
    )


def as_markdown(results: Results) -> str:
    """Returns the document."""
    written = {
        name: tables.as_markdown(cells).strip() if cells[1:] else "Not measured."
        for name, cells in _tables(results).items()
    }
    return Template(_TEMPLATE.read_text()).substitute(
        written,
        seconds=results.about.get("seconds", "3"),
        peers_call=_CALLS[results.about.get("peers call", "function")],
        limits=f"`{' '.join(LIMITS)}`",
        threads=standin.MAX_THREADS,
        variables=f"{VARIABLES:,}",
    )


def _tables(results: Results) -> dict[str, Cells]:
    about: Cells = [["", ""], *([name, value] for name, value in results.about.items())]
    return {"about": about} | {name: table(results) for name, table in _TABLES.items()}
