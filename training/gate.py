"""The quality gate: a model that is not better than guessing, or worse than what is published, is not published.

Models are compared by one error, smaller being better: the balanced error rate for a classifier, the mean absolute
error over the horizon for a forecaster.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import PublicationRefusedError


class NotComparableError(Exception):
    """A published version cannot be measured on the test part; the message is the reason, as in "it forecasts 'x'"."""


def check_kind(manifest: Mapping[str, Any], kind: str) -> None:
    """Refuses a published version of another kind; one without a manifest may be of this one.

    Raises:
        NotComparableError: it is.
    """
    if (theirs := manifest.get("kind", kind)) != kind:
        raise NotComparableError(f"it is a {theirs}")


@dataclass(frozen=True, slots=True)
class Rival:
    """What a published version reaches on the new test part, or on what can fairly be asked of it there.

    Attributes:
        error: its error.
        own: the new model's error on the same examples.
        on: which these are, where they are not simply the test part; empty where they are.
    """

    error: float
    own: float
    on: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the quality gate compares.

    Attributes:
        measure: names the error in a sentence.
        error: the model's, on the test part; smaller is better.
        naive: names the naive baseline.
        naive_error: the baseline's, on the same part.
        others: by name, the errors of what was measured beside it, none of which must be beaten.
        warnings: what else its user should know before relying on it.
        comparison: the hash of all that the error is measured on; errors are comparable when it is equal.
        limit: from an error and the tolerance, the largest error that is not worse.
        rerun: measures a published version, from its folder and its manifest; raises NotComparableError.
        bars: what else it is held against.
    """

    measure: str
    error: float
    naive: str
    naive_error: float
    others: Mapping[str, float]
    warnings: tuple[str, ...]
    comparison: str
    limit: Callable[[float, float], float]
    rerun: Callable[[Path, Mapping[str, Any]], Rival]
    bars: tuple["Bar", ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that the new model is held against.

    Attributes:
        what: names it in a sentence, "the majority class".
        error: its error.
        own: the new model's error on the same examples.
        limit: the largest error the new model may have, the tolerance included.
        strict: the limit itself is too much: a tie fails.
    """

    what: str
    error: float
    own: float
    limit: float
    strict: bool = False

    @property
    def reached(self) -> bool:
        """Whether the new model is good enough; an error that is not a number never is."""
        return self.own < self.limit if self.strict else self.own <= self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found.

    Attributes:
        measure: names the error, "mean absolute error over the horizon".
        error: the new model's.
        bars: all that it was held against.
        forced: a failure is published anyway.
        remarks: what it was not compared with, and why.
        warnings: what refuses no model, but should be known of it.
    """

    measure: str
    error: float
    bars: tuple[Bar, ...]
    forced: bool
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Bar, ...]:
        """The bars the new model did not reach."""
        return tuple(bar for bar in self.bars if not bar.reached)

    @property
    def result(self) -> str:
        """`passed`, `forced` or `refused`."""
        if not self.failures:
            return "passed"
        return "forced" if self.forced else "refused"

    def enforce(self) -> None:
        """Lets a passed or forced model through.

        Raises:
            PublicationRefusedError: the model missed a bar and was not forced.
        """
        if self.result == "refused":
            reasons = "; ".join(_sentence(self.measure, bar) for bar in self.failures)
            raise PublicationRefusedError(f"not published: {reasons}; --force publishes it anyway")

    def sentences(self) -> Sequence[str]:
        """One sentence per bar, for the model card."""
        return [_sentence(self.measure, bar) for bar in self.bars]


def _sentence(measure: str, bar: Bar) -> str:
    relation = "better than" if bar.strict else "not worse than"
    if not bar.reached:
        relation = "not better than" if bar.strict else "worse than"
    allowed = "" if bar.limit == bar.error else f", up to {bar.limit:.4g} allowed"
    return f"{measure} {bar.own:.4g} is {relation} {bar.what} ({bar.error:.4g}{allowed})"
