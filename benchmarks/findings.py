"""All that was found, kept on disk between runs: so a section can be measured again by itself."""

import pickle
from dataclasses import dataclass, field

from benchmarks.growth import Growth
from benchmarks.json_decoding import Decoding
from benchmarks.processes import ROOT
from benchmarks.results import Compared

FILE = ROOT / "build" / "benchmarks.pickle"


@dataclass(slots=True)
class Findings:
    """The figures of all sections.

    Attributes:
        dates: When each section was measured.
        compared: Servers of the small model, in rounds.
        loops: The bare loop: by way of calling, by batch, images a second; one for each round.
        streams: Streams and unary calls.
        models: Other models.
        growth: How cost grows.
        decoding: JSON to arrays, by name of the model that it is for.
        soak: Memory in MB by number of requests.
        peers_call: How the peers called the SavedModel.
        rounds: How many there were.
        seconds: Of each burst.
        concurrencies: Requests at a time.
    """

    dates: dict[str, str] = field(default_factory=dict)
    compared: Compared = field(default_factory=Compared)
    loops: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    streams: Compared = field(default_factory=Compared)
    models: Compared = field(default_factory=Compared)
    growth: Growth = field(default_factory=Growth)
    decoding: dict[str, Decoding] = field(default_factory=dict)
    soak: dict[int, float] = field(default_factory=dict)
    peers_call: str = "function"
    rounds: int = 0
    seconds: float = 0.0
    concurrencies: tuple[int, ...] = ()

    @classmethod
    def kept(cls) -> "Findings":
        """Returns those of the last run, or none."""
        if not FILE.exists():
            return cls()
        found: Findings = pickle.loads(FILE.read_bytes())  # noqa: S301 - written by keep()
        return found

    def keep(self) -> None:
        """Writes them to disk."""
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_bytes(pickle.dumps(self))
