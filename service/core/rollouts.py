"""All rollouts of one server: which versions get which requests because of them, from the next request on."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from service.core.call import Call
from service.core.catalog import Catalog
from service.core.drift import Drift, DriftMonitor
from service.core.model_config import ModelConfig
from service.core.model_version import ModelRef, ModelVersion, State
from service.core.rollout import Reason
from service.core.rollout_guards import Compared
from service.core.rollout_watch import RolloutWatch
from service.core.signature_change import broken_by
from service.core.traffic_split import UNNAMED, Target
from service.errors import ErrorKind, shown

logger = logging.getLogger(__name__)

_PATIENCE = 0.25
"""Seconds: a timeout of a client that allowed less than this says nothing of the version."""


class Rollouts:
    """The rollouts that the model configuration declares. To be used on the event loop's thread alone.

    Args:
        catalog: Has the models; its labels are kept in step.
        drift: Says how versions stand.
        clock: Returns seconds since 1970.

    Attributes:
        compared: Returns what was compared of the answers of a version of a model.
    """

    def __init__(self, catalog: Catalog, drift: DriftMonitor, *, clock: Callable[[], float] = time.time) -> None:
        self._catalog = catalog
        self._drift = drift
        self._clock = clock
        self.compared: Callable[[str, int], Compared] = lambda _model, _version: Compared()
        self._watches: dict[str, RolloutWatch] = {}
        self._rolled_back: Counter[tuple[str, str]] = Counter()

    def configure(self, catalog: Catalog, configs: Iterable[ModelConfig]) -> None:
        """Enters what the configurations say beside where the models lie, and watches their rollouts and no others.

        Args:
            catalog: The server's, or one as it would be.
            configs: The configurations of all models.
        """
        watches: dict[str, RolloutWatch] = {}
        for config in configs:
            targets: dict[str, Target] = {**config.labels, **config.traffic.splits}
            if (rollout := config.traffic.rollout) is not None:
                watch = self._watches.get(config.name)
                if watch is None or watch.rollout.identity != rollout.identity:
                    watch = RolloutWatch(
                        config.name,
                        rollout,
                        self._drift_of,
                        self._broken,
                        compared=partial(self._compared, config.name, rollout.canary),
                        clock=self._clock,
                    )
                watches[config.name] = watch
                self._follow(watch, partial(watch.follow, rollout))
                targets[rollout.label] = watch.split
            catalog.set_labels(config.name, targets)
            catalog.set_options(config.name, config.options)
            catalog.set_shadow(config.name, config.traffic.shadow)
        self._watches = watches
        for series in [series for series in self._rolled_back if series[0] not in watches]:
            del self._rolled_back[series]

    def tick(self) -> None:
        """Judges all rollouts, and has requests go where they are to go from now on."""
        for watch in self._watches.values():
            before = watch.rolled_back
            self._follow(watch, watch.tick)
            if before is None and watch.rolled_back is not None:
                self._rolled_back[watch.model, watch.rolled_back.reason] += 1
            self._direct(watch)

    def observe(self, call: Call, code: str) -> None:
        """Counts a finished call of one of these models, if it was run; time in the queue says nothing of a version."""
        watch = self._watches.get(call.model or "")
        if watch is None or call.version is None or not (seconds := call.phases.get("execute", 0.0)):
            return
        if code != ErrorKind.TIMEOUT or call.deadline.allowed >= _PATIENCE:
            watch.count(call.version, code, seconds)

    def watch(self, model: str) -> RolloutWatch | None:
        """Returns what is known of a model's rollout, if there is one."""
        return self._watches.get(model)

    def watches(self) -> Sequence[RolloutWatch]:
        """Returns those of all models."""
        return list(self._watches.values())

    def rolled_back(self, model: str, reason: Reason) -> int:
        """Returns how many rollouts of a model this server took back for that reason."""
        return self._rolled_back[model, reason]

    def has_label(self, model: str, label: str) -> bool:
        """Returns whether a rollout decides what a label stands for."""
        watch = self._watches.get(model)
        return watch is not None and watch.rollout.label == label

    def _direct(self, watch: RolloutWatch) -> None:
        targets: Mapping[str, Target] = self._catalog.targets(watch.model)
        if targets.get(watch.rollout.label) != (split := watch.split):
            self._catalog.set_labels(watch.model, {**targets, watch.rollout.label: split})

    def _follow(self, watch: RolloutWatch, change: Callable[[], None]) -> None:
        """Makes a change, and logs what came of it."""
        step, rolled_back = watch.step, watch.rolled_back
        change()
        rollout = watch.rollout
        what = f"the rollout of version {rollout.canary} of {watch.model}"
        if rollout.label != UNNAMED:
            what += f", label {shown(rollout.label)}"
        if rolled_back is None and (back := watch.rolled_back) is not None:
            logger.error("%s is taken back to version %d (%s): %s", what, rollout.stable, back.reason, back.message)
        elif watch.step > step:
            logger.info("%s goes on to step %d, %d %%", what, watch.step + 1, watch.percent)

    def _drift_of(self, model: str, version: int) -> Sequence[Drift]:
        entry = self._available(model, version)
        return () if entry is None else self._drift.report(entry)

    def _compared(self, model: str, version: int) -> Compared:
        return self.compared(model, version)

    def _broken(self, model: str, stable: int, canary: int) -> str:
        old, new = self._available(model, stable), self._available(model, canary)
        return "" if old is None or new is None else broken_by(old, new)

    def _available(self, model: str, version: int) -> ModelVersion | None:
        if not self._catalog.has(model, version):
            return None
        entry = self._catalog.find(ModelRef(model, version))
        return entry if entry.state is State.AVAILABLE and entry.is_described else None
