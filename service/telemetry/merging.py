"""Metrics of several processes as those of one: plain data, so that who merges them needs no library for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""The name of a sample, and its labels."""

_ADD_UP = frozenset({"counter", "histogram", "summary"})
"""Kinds that only ever grow."""
_OF_GAUGES: dict[str, Callable[[float, float], float]] = {
    "tensorgate_model_state": max,
    "tensorgate_replica_state": max,
    "tensorgate_build_info": max,
    "python_info": max,
    "process_start_time_seconds": min,
}
"""What is no amount that each process has for itself; all other gauges are summed."""


@dataclass(slots=True)
class Family:
    """A metric.

    Attributes:
        kind: As Prometheus calls it: ``counter``, ``gauge``, ``histogram``.
        samples: In the order in which they are told.
    """

    name: str
    description: str
    kind: str
    samples: dict[Sample, float] = field(default_factory=dict)

    def plain(self) -> list[Any]:
        """Returns it as JSON can hold it."""
        samples = [[name, labels, value] for (name, labels), value in self.samples.items()]
        return [self.name, self.description, self.kind, samples]

    @classmethod
    def of(cls, plain: Any) -> "Family":
        """Returns what `plain` made plain."""
        name, description, kind, samples = plain
        keys = ((sample, tuple((label, text) for label, text in labels)) for sample, labels, _ in samples)
        return cls(name, description, kind, dict(zip(keys, (value for *_, value in samples), strict=True)))


Families = dict[str, Family]
"""Metrics by their names."""


def families_of(plain: Iterable[Any]) -> Families:
    """Returns the metrics that JSON held."""
    return {family.name: family for family in map(Family.of, plain)}


def merged(*processes: Families) -> Families:
    """Returns the metrics of all of them: counters and histograms added up, gauges as each asks for."""
    total: Families = {}
    for families in processes:
        for name, family in families.items():
            _add(total.setdefault(name, Family(name, family.description, family.kind)), family)
    return total


def lasting(families: Families) -> Families:
    """Returns what of the metrics of a process is still true when it has ended: what it counted."""
    return {name: family for name, family in families.items() if family.kind in _ADD_UP}


def _add(total: Family, family: Family) -> None:
    join = _OF_GAUGES.get(family.name) if family.kind not in _ADD_UP else None
    for sample, value in family.samples.items():
        before = total.samples.get(sample)
        if before is None:
            total.samples[sample] = value
        else:
            total.samples[sample] = before + value if join is None else join(before, value)
