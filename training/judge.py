"""Holds a new model against what is published: each comparable version is run on the new test part."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from training.display import Display
from training.errors import TrainingError
from training.gate import Bar, Judgement, NotComparableError, Rival, Verdict
from training.manifest import read_manifest
from training.options import PublishOptions
from training.repository import version_folder, versions

_MOST_RUN = 10  # published versions, the newest first: each takes seconds
_MOST_NAMED = 3
_CLEARLY = 2  # times the tolerance


class Judge:
    """Knows what it has measured, so that it can be asked again once nobody else can publish."""

    def __init__(self, judgement: Judgement, options: PublishOptions, display: Display) -> None:
        self._judgement = judgement
        self._options = options
        self._display = display
        self._found: dict[int, Rival | str] = {}
        self._runs = 0

    def verdict(self) -> Verdict:
        """Compares the model with the naive baseline and with the best of the comparable published versions.

        Versions that are there since the last call are measured too.
        """
        judgement, options = self._judgement, self._options
        self._runs = 0
        for version in reversed(versions(options.models, options.name)):
            if version not in self._found:
                self._found[version] = self._measured(version)
        bars = [Bar(judgement.naive, judgement.naive_error, judgement.error, judgement.naive_error, strict=True)]
        bars += [*judgement.bars, *self._best()]
        return Verdict(
            judgement.measure,
            judgement.error,
            tuple(bars),
            options.force,
            remarks=tuple(self._remarks()),
            warnings=(*judgement.warnings, *self._clearly_better()),
        )

    def _measured(self, version: int) -> Rival | str:
        """What a version reaches, or why that cannot be said."""
        folder = version_folder(self._options.models, self._options.name, version)
        try:
            manifest = read_manifest(folder) or {}
        except TrainingError as error:
            return str(error)
        recorded = self._recorded(manifest)
        if recorded is not None:
            return Rival(recorded, self._judgement.error)
        if self._runs == _MOST_RUN:
            return f"only the newest {_MOST_RUN} are run"
        self._runs += 1
        self._display.step(f"Running published version {version} on the same test part")
        try:
            rival = self._judgement.rerun(folder, manifest)
        except NotComparableError as reason:
            return str(reason)
        except TrainingError:  # the new data cannot be read any more: the version is not to blame
            raise
        except Exception as error:  # whatever a model of unknown making stumbles over
            said = str(error).strip().partition("\n")[0]
            return f"it does not run: {said or type(error).__name__}"
        return rival if math.isfinite(rival.error) else "its answers are not finite numbers"

    def _recorded(self, manifest: Mapping[str, Any]) -> float | None:
        """The error that a version was published with, if it was measured as this one is and on the same examples."""
        theirs = manifest.get("evaluation")
        if not isinstance(theirs, dict):
            return None
        same = (self._judgement.measure, self._judgement.comparison)
        error = theirs.get("error")
        if (theirs.get("measure"), theirs.get("comparison")) != same or not isinstance(error, int | float):
            return None
        return float(error) if math.isfinite(error) else None

    def _best(self) -> Iterable[Bar]:
        """The published version that is hardest to equal, if any can be compared."""
        bars = []
        for version, rival in self._found.items():
            if isinstance(rival, Rival):
                what = f"published version {version}" + (f" {rival.on}" if rival.on else "")
                limit = self._judgement.limit(rival.error, self._options.tolerance)
                bars.append(Bar(what, rival.error, rival.own, limit))
        return sorted(bars, key=lambda bar: bar.limit - bar.own)[:1]

    def _remarks(self) -> Iterable[str]:
        reasons = [f"version {version}: {why}" for version, why in self._found.items() if isinstance(why, str)]
        compared = len(self._found) - len(reasons)
        if not self._found:
            yield "there is no published version to compare it with"
        elif not compared:
            yield f"it could be compared with none of the published versions ({_listed(reasons)})"
        elif reasons:
            yield f"some published versions could not be compared ({_listed(reasons)})"
        if compared > 1:
            yield f"of {compared} published versions that could be compared, the one named is the hardest to equal"

    def _clearly_better(self) -> Iterable[str]:
        judgement = self._judgement
        for name, error in judgement.others.items():
            if judgement.error > judgement.limit(error, _CLEARLY * self._options.tolerance):
                yield f"{name} is clearly better: {judgement.measure} {error:.4g}, against {judgement.error:.4g}"


def _listed(reasons: list[str]) -> str:
    more = len(reasons) - _MOST_NAMED
    return "; ".join(reasons[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
