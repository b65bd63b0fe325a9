"""One rollout as one server sees it: how far it is, what its guards have seen, whether it was taken back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum

from service.core.drift import Drift
from service.core.rollout import Reason, RolledBack, Rollout
from service.core.rollout_guards import Compared, Seen, findings
from service.core.traffic_split import Split
from service.core.version_counts import VersionCounts


class Phase(StrEnum):
    """How a rollout stands."""

    PENDING = "pending"
    """Its time has not come."""
    PROGRESSING = "progressing"
    """A step's time runs."""
    WAITING = "waiting"
    """A step's time is over, and the next one may not begin yet."""
    COMPLETE = "complete"
    """The last step's time is over. Its guards stand for as long as it is declared."""
    ROLLED_BACK = "rolled_back"


class RolloutWatch:
    """Counts what both versions answer, and judges them.

    A step lasts its time from when it was reached; one that was reached before this server began is known by the model
    configuration, where servers can write it. Where they cannot, a server that begins passes step after step as soon as
    it has seen enough: the clock has run meanwhile.

    Args:
        model: Name of the model.
        rollout: As the model configuration has it.
        drift_of: Returns how the statistics of a version of a model stand.
        broken: Returns what clients of the stable version would miss in the canary; empty for nothing.
        compared: Returns what was compared of the canary's answers since its shadow was declared.
        clock: Returns seconds since 1970.

    Attributes:
        model: Name of the model.
        rollout: As the model configuration has it now.
        step: The step that was reached.
        since: When that was, in seconds since 1970.
        rolled_back: Why it was taken back, if it was.
        waits: What the next step waits for; empty where it waits for its time alone.
        counts: What both versions answered since the step began, by version.
    """

    def __init__(
        self,
        model: str,
        rollout: Rollout,
        drift_of: Callable[[str, int], Sequence[Drift]],
        broken: Callable[[str, int, int], str],
        *,
        compared: Callable[[], Compared] = Compared,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.model = model
        self.rollout = rollout
        self._drift_of = drift_of
        self._broken = broken
        self._compared = compared
        self._clock = clock
        self._began = clock()
        self.step = rollout.step
        self.since = rollout.step_time or rollout.start_time
        self.rolled_back = rollout.rolled_back
        self.waits = ""
        self._baseline = VersionCounts()
        self._count_anew(self._began)

    def follow(self, rollout: Rollout) -> None:
        """Takes what the model configuration says of it now: steps that other servers have reached, and an abort."""
        self.rollout = rollout
        if self.rolled_back is None and rollout.rolled_back is not None:
            self.rolled_back = rollout.rolled_back
        if rollout.step > self.step:
            self._reach(rollout.step, rollout.step_time or self._clock())

    @property
    def declared(self) -> Rollout:
        """What the model configuration is to say of it: what it says now, and what this server has found since."""
        rollout = self.rollout
        if self.step > rollout.step:
            rollout = replace(rollout, step=self.step, step_time=self.since)
        return rollout if rollout.rolled_back is not None else replace(rollout, rolled_back=self.rolled_back)

    @property
    def percent(self) -> int:
        """Percent of the requests that the canary gets."""
        if self.rolled_back is not None or self._clock() < self.since:
            return 0
        return self.rollout.step_weights[self.step]

    @property
    def split(self) -> Split:
        """How requests are split now."""
        return self.rollout.split(self.percent)

    @property
    def phase(self) -> Phase:
        """How it stands."""
        if self.rolled_back is not None:
            return Phase.ROLLED_BACK
        passed = self._clock() - self.since
        if passed < 0:
            return Phase.PENDING
        if passed < self.rollout.step_seconds:
            return Phase.PROGRESSING
        return Phase.COMPLETE if self.step == self.rollout.last else Phase.WAITING

    def count(self, version: int, code: str, seconds: float) -> None:
        """Counts a request that was answered, or failed."""
        if (counts := self.counts.get(version)) is not None:
            counts.count(code, seconds)

    def tick(self) -> None:
        """Judges what was seen, and takes the rollout back or goes on where that is due."""
        now = self._clock()
        if self.rolled_back is not None or now < self.since:
            return
        if broken := self._broken(self.model, self.rollout.stable, self.rollout.canary):
            self.rolled_back = RolledBack(Reason.SIGNATURE, broken, now)
            return
        found = findings(self.rollout.guards, self.seen(), before_the_last=self.step == self.rollout.last - 1)
        hit = next((finding.hit for finding in found if finding.hit is not None), None)
        if hit is not None:
            at = f"at {self.percent} %: {hit.message}"
            self.rolled_back = RolledBack(hit.reason, at, now)
            return
        is_over = now - self.since >= self.rollout.step_seconds
        if self.step == self.rollout.last:
            self.waits = ""
            if now - self._counted_since >= self.rollout.step_seconds:
                self._count_anew(now)  # earlier successes are not to hide later failures
            return
        self.waits = "; ".join(finding.waits for finding in found if finding.waits)
        if is_over and not self.waits:
            due = self.since + self.rollout.step_seconds
            self._reach(self.step + 1, due if due <= self._began else now)

    def seen(self) -> Seen:
        """Returns what was seen since the step began.

        Of the stable version, that of an earlier step where too little was seen in this one; of answers that were
        compared, all.
        """
        stable = self.counts[self.rollout.stable]
        if stable.requests < self.rollout.guards.min_requests <= self._baseline.requests:
            stable = self._baseline
        return Seen(
            stable,
            self.counts[self.rollout.canary],
            self._drift_of(self.model, self.rollout.stable),
            self._drift_of(self.model, self.rollout.canary),
            self._compared(),
        )

    def _reach(self, step: int, since: float) -> None:
        stable = self.counts[self.rollout.stable]
        if stable.requests >= self.rollout.guards.min_requests:
            self._baseline = stable
        self.step, self.since = step, since
        self._count_anew(self._clock())

    def _count_anew(self, now: float) -> None:
        self._counted_since = now
        self.counts = {self.rollout.stable: VersionCounts(), self.rollout.canary: VersionCounts()}
