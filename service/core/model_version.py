"""One version of a model as it stands, and what requests say of the one that they want."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path

from service.core.drift_reference import Reference
from service.core.load_progress import LoadProgress
from service.core.residence import Residence
from service.core.tasks import Task
from service.core.tensors import Signature


class State(StrEnum):
    """Where a version is in its life: TensorFlow Serving's states, and KServe's word for one that is not in memory."""

    START = "START"
    LOADING = "LOADING"
    AVAILABLE = "AVAILABLE"
    STANDBY = "STANDBY"
    """Available, and not in memory: it answers once it is loaded, which the first request brings about. It is told, and
    never an entry's own state."""
    UNLOADING = "UNLOADING"
    END = "END"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a model, as it stands.

    Attributes:
        signatures: Its signatures by name; empty until it is loaded.
        task: What it is for, where it is an image classifier or a forecaster.
        doubt: Why it is served by the generic protocols alone, although its names are those of a kind; else empty.
        error: Why it could not be loaded; empty when nothing went wrong.
        unbatched: Why requests of a signature are neither merged nor split, by its name; without those that may be.
        unservable: Why signatures that it has as well cannot be served, by name.
        reference: What its inputs and outputs looked like when it was trained, where that is known.
        load_seconds: How long it took to load it and warm it up, or to fail; 0 when it was not loaded.
        progress: How far it is, while it is being loaded.
        folder: Where its files lie, where this server can read them.
        handle: The backend's own; what it refers to lives as long as a request holds this version.
        residence: Tells whether it is in memory, where it may leave memory while it is available.
        is_described: Whether its signatures are known, as they are once it was loaded.
        serial: A number that differs each time that a version is loaded.
    """

    name: str
    version: int
    state: State
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    task: Task | None = None
    doubt: str = ""
    error: str = ""
    unbatched: Mapping[str, str] = field(default_factory=dict)
    unservable: Mapping[str, str] = field(default_factory=dict)
    load_seconds: float = 0.0
    reference: Reference | None = field(default=None, repr=False, compare=False)
    progress: LoadProgress | None = field(default=None, repr=False, compare=False)
    folder: Path | None = field(default=None, repr=False, compare=False)
    handle: object = field(default=None, repr=False, compare=False)
    residence: Residence | None = field(default=None, repr=False, compare=False)
    is_described: bool = field(default=True, repr=False, compare=False)
    serial: int = field(default_factory=count().__next__, repr=False, compare=False)

    @property
    def is_unloaded(self) -> bool:
        """Whether it was taken out of service on purpose, which is no failure."""
        return self.state is State.END and not self.error

    @property
    def told_state(self) -> State:
        """Its state as it is told: STANDBY for one that is available, and not in memory."""
        if self.state is State.AVAILABLE and self.residence is not None and not self.residence.is_loaded:
            return State.STANDBY
        return self.state


@dataclass(slots=True)
class ModelRef:
    """What a request says of the model that it wants; the newest available version when it names none.

    Attributes:
        version: Its number; not together with a label.
        label: What the wanted version is called.
    """

    name: str
    version: int | None = None
    label: str | None = None
