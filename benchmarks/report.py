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
        "The peers call the SavedModel as TensorFlow's and their own documentation shows: the function that\n"
        "`tf.saved_model.load` returns. Tensorgate uses a session, which costs less; `--peers-call session` makes the\n"
        "peers do the same."
    ),
    "session": (
        "The peers call the SavedModel as Tensorgate does, by a prepared call of a session, which costs less than\n"
        "what their documentation shows."
    ),
}
_SOAK = "## Memory over time\n\nRequests of all protocols in turn, concurrency 64.\n\n"


def as_text(results: Results) -> str:
    """Returns all tables that have rows; what matters comes last, where one looks first."""
    found = _tables(results)
    return "\n".join(
        f"{name.replace('_', ' ')}\n\n{tables.as_text(cells)}" for name, cells in found.items() if cells[1:]
    )


def as_markdown(results: Results) -> str:
    """Returns the document."""
    found = _tables(results)
    written = {
        name: tables.as_markdown(cells).strip() if cells[1:] else "Not measured." for name, cells in found.items()
    }
    return Template(_TEMPLATE.read_text()).substitute(
        written,
        serving=_serving(results.about.get("the backend", "not known")),
        soak=f"{_SOAK}{written['soak']}\n\n" if found["soak"][1:] else "",
        seconds=results.about.get("seconds", "3"),
        peers_call=_CALLS[results.about.get("peers call", "function")],
        limits=f"`{' '.join(LIMITS)}`",
        threads=standin.MAX_THREADS,
        variables=f"{VARIABLES:,}",
    )


def _serving(backend: str) -> str:
    """Says what stood in for TensorFlow Serving, if something did."""
    if backend.startswith("TensorFlow Serving"):
        return f"**TensorFlow Serving.** The backend in the gateway rows is {backend}."
    return (
        "**TensorFlow Serving itself was not measured**: neither its binary nor its image was available on the\n"
        f"measuring machine.\nThe backend in the gateway rows is {backend}."
    )


def _tables(results: Results) -> dict[str, Cells]:
    about: Cells = [["", ""], *([name, value] for name, value in results.about.items())]
    return {"about": about} | {name: table(results) for name, table in _TABLES.items()}
