"""A rollout as an operator declares it: a new version gets more of a model's requests, step by step, under guards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from service.core.traffic_split import UNNAMED, Split

MAX_STEPS = 100
STEP_WEIGHTS = (1, 5, 25, 100)
"""The default steps: percent of the requests."""
STEP_SECONDS = 600.0
"""The default length of a step."""


class Reason(StrEnum):
    """Why a rollout was taken back."""

    ERROR_RATE = "error_rate"
    LATENCY = "p99"
    DRIFT = "drift"
    CHANGED = "changed"
    SIGNATURE = "signature"
    """It does not take what the stable version takes, or gives something else."""
    ABORTED = "aborted"
    """Somebody said so."""


@dataclass(frozen=True, slots=True)
class Guards:
    """How much worse than the stable version the canary may be; ``None`` for a guard that does not stand.

    Attributes:
        min_requests: Fewest that each of both has answered before a step is passed.
        max_error_rate_increase: By how much the share of requests that failed may be higher, 0 to 1.
        max_p99_ratio: Of the time within which 99 of 100 requests are answered, to that of the stable version.
        max_drift_psi: Population stability index of what the canary answers, against its own reference, where that of
            the stable version is not beyond it too.
        max_changed_share: Share of compared answers that may name another class than the stable version's.
    """

    min_requests: int = 50
    max_error_rate_increase: float | None = 0.01
    max_p99_ratio: float | None = 1.5
    max_drift_psi: float | None = 0.25
    max_changed_share: float | None = None


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Why and when a rollout was taken back.

    Attributes:
        reason: Which guard, or that somebody said so.
        message: What was found, for people.
        time: When, in seconds since 1970.
    """

    reason: Reason
    message: str
    time: float


@dataclass(frozen=True, slots=True)
class Rollout:
    """What the model configuration says of a rollout.

    Attributes:
        stable: The version that answered before.
        canary: The version that is to.
        label: It splits the requests for this label; `UNNAMED` for those that name neither version nor label.
        step_weights: Percent of the requests that the canary gets, step by step; ascending.
        step_seconds: How long a step takes at least.
        start_time: When it begins, in seconds since 1970.
        guards: Any of them takes it back when it is hit.
        step: The step that was reached, from 0 on, as one of the servers wrote it down.
        step_time: When that was; 0 where nothing is written.
        rolled_back: Why it was taken back, if it was.
    """

    stable: int
    canary: int
    label: str = UNNAMED
    step_weights: tuple[int, ...] = STEP_WEIGHTS
    step_seconds: float = STEP_SECONDS
    start_time: float = 0.0
    guards: Guards = field(default_factory=Guards)
    step: int = 0
    step_time: float = 0.0
    rolled_back: RolledBack | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What is another for another rollout, and the same however far one is."""
        return self.stable, self.canary, self.label, self.start_time, self.step_weights, self.step_seconds

    @property
    def last(self) -> int:
        """The last step."""
        return len(self.step_weights) - 1

    def split(self, percent: int) -> Split:
        """Returns how requests are split while the canary has so many percent of them."""
        return Split({self.canary: percent, self.stable: 100 - percent})


@dataclass(frozen=True, slots=True)
class Shadow:
    """A copy of the requests that one more version answers, for nobody.

    Attributes:
        version: The version that gets the copies.
        share: Share of the requests that are copied, 0 to 1.
        address: Host and port of the server that has the version, by TensorFlow Serving's gRPC; empty for this one.
    """

    version: int
    share: float
    address: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Which version of a model gets which requests, beyond labels of one version.

    Attributes:
        splits: How requests are split by label; `UNNAMED` is for those that name neither version nor label.
        rollout: One that is under way, or over and still in force.
        shadow: What gets copies.
    """

    splits: Mapping[str, Split] = field(default_factory=dict)
    rollout: Rollout | None = None
    shadow: Shadow | None = None


PLAIN = Traffic()
"""The traffic of a model for which the operator says nothing about it."""
