"""The quality gate: a model that falls behind what is there already is not published.

Models are compared by one error, smaller being better: 1 - accuracy for a classifier, the mean absolute error over the
horizon for a forecaster.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from training.errors import PublicationRefusedError


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing the new model must not be worse than.

    Attributes:
        what: names it in a sentence, "the majority class".
        error: its error on the test part of the same data.
        limit: the largest error the new model may have, the tolerance included.
    """

    what: str
    error: float
    limit: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate found.

    Attributes:
        measure: names the error, "mean absolute error over the horizon".
        error: the new model's.
        bars: all that it was compared with.
        forced: a failure is published anyway.
    """

    measure: str
    error: float
    bars: tuple[Bar, ...]
    forced: bool

    @property
    def failures(self) -> tuple[Bar, ...]:
        """The bars the new model did not reach; an error that is not a number reaches none."""
        return tuple(bar for bar in self.bars if not self.error <= bar.limit)

    @property
    def result(self) -> str:
        """`passed`, `forced` or `refused`."""
        if not self.failures:
            return "passed"
        return "forced" if self.forced else "refused"

    def enforce(self) -> None:
        """Lets a passed or forced model through.

        Raises:
            PublicationRefusedError: the model is worse than a bar and was not forced.
        """
        if self.result == "refused":
            reasons = "; ".join(_sentence(self, bar) for bar in self.failures)
            raise PublicationRefusedError(f"not published: {reasons}; --force publishes it anyway")

    def sentences(self) -> Sequence[str]:
        """One sentence per bar, for the model card."""
        return [_sentence(self, bar) for bar in self.bars]


def _sentence(verdict: Verdict, bar: Bar) -> str:
    relation = "is worse than" if bar in verdict.failures else "is not worse than"
    allowed = "" if bar.limit == bar.error else f", up to {bar.limit:.4g} allowed"
    return f"{verdict.measure} {verdict.error:.4g} {relation} {bar.what} ({bar.error:.4g}{allowed})"
